import csv
import io
import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from exp.tables.compare import Comparison, compare
from exp.tables.plan import Planner
from exp.tables.render import as_csv, as_json, escape, latex, markdown
from exp.tables.terminal import print_table
from tests.tables.cells import QUICK, compared, fail
from tests.tables.test_compare import SEEDS, VALUES


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    compared(tmp_path, "modules", SEEDS, VALUES)
    plan = Planner(tmp_path).plan("modules", SEEDS)
    fail(plan.rows[4].cells[1])
    return compare(Planner(tmp_path).plan("modules", SEEDS))


def test_json_holds_every_row_and_metric(comparison: Comparison) -> None:
    read = json.loads(as_json(comparison))
    assert read["table"] == "modules"
    assert [(one["row"], one["metric"]) for one in read["rows"]] == [
        (row, metric) for metric in ("top1", "top5") for row in ("none", "triplet", "ca", "tripletca", "tripletlka")
    ]
    for key in ("n", "mean", "sd", "interval", "p", "verdict", "published"):
        assert all(key in one for one in read["rows"])
    by_row = {one["row"]: one for one in read["rows"] if one["metric"] == "top1"}
    assert by_row["none"]["published"] is None
    assert by_row["triplet"]["published"] == 64.6
    assert by_row["triplet"]["interval"] is None
    assert by_row["none"]["interval"][0] < by_row["none"]["difference"] < by_row["none"]["interval"][1]
    assert "surrogate" in by_row["none"]["label"]


def test_csv_has_the_same_numbers(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    read = json.loads(as_json(comparison))["rows"]
    assert len(rows) == len(read)
    for one, other in zip(rows, read, strict=True):
        assert one["row"] == other["row"]
        assert one["mean"] == ("" if other["mean"] is None else str(other["mean"]))


def test_terminal_says_what_it_is_and_never_drops_a_row(comparison: Comparison) -> None:
    console = Console(width=400, record=True, file=io.StringIO())
    print_table(comparison, console)
    text = console.export_text()
    for word in ("none", "triplet", "tripletlka", "not as published: recipe=quick; surrogate data", "64.6", "1 failed"):
        assert word in text
    line = next(line for line in text.splitlines() if line.startswith("tripletca"))
    assert re.search(
        r"tripletca\s+5/5\s+97.90 ± 0.16 \(5\)\s+\+0.92\s+\[.*\]\s+\+3.2 sd\s+0.0\d+\s+better\s+65.71", line
    )


def test_markdown_is_a_table_a_metric(comparison: Comparison) -> None:
    text = markdown(comparison)
    blocks = [block for block in text.split("\n\n") if block.startswith("|")]
    assert len(blocks) == 4
    for block in blocks:
        assert len({line.replace("\\|", "").count("|") for line in block.splitlines()}) == 1


def test_latex_is_balanced_and_every_line_has_its_columns(comparison: Comparison) -> None:
    text = latex(comparison, document=True)
    begun = re.findall(r"\\begin\{(\w+)\}", text)
    assert begun == list(reversed(re.findall(r"\\end\{(\w+)\}", text)))
    spec = re.search(r"\\begin\{tabular\}\{(\w+)\}", text)
    assert spec is not None
    body = text[text.index(r"\midrule") : text.index(r"\bottomrule")].splitlines()[1:]
    assert len(body) == 5
    for line in body:
        assert line.endswith(r" \\")
        assert line.count(" & ") == len(spec[1]) - 1
    for command in (r"\toprule", r"\midrule", r"\bottomrule", r"\usepackage{booktabs}"):
        assert text.count(command) == 1
    bare = re.sub(r"\\[%&#_$]|\$[^$]*\$", "", text.replace(r"\begin{tabular}", ""))
    assert "%" not in bare
    assert "_" not in bare
    assert text.isascii()


@pytest.mark.extras
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_latex_compiles_as_it_is(comparison: Comparison, tmp_path: Path) -> None:
    compiles(latex(comparison, document=True), tmp_path)


TWO_COLUMNS = r"""\documentclass[twocolumn]{article}
\usepackage[T1]{fontenc}\usepackage{lmodern}\usepackage{booktabs,graphicx}
\begin{document}Text.\input{part}\end{document}
"""


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
def test_a_fragment_goes_into_a_paper_of_two_columns(comparison: Comparison, tmp_path: Path) -> None:
    fragment = latex(comparison)
    assert r"\documentclass" not in fragment
    (tmp_path / "part.tex").write_text(fragment)
    compiles(TWO_COLUMNS, tmp_path)
    if shutil.which("pdffonts"):
        fonts = subprocess.run(["pdffonts", "table.pdf"], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert "Type 3" not in fonts.stdout


def test_the_best_is_bold_where_its_verdict_allows(comparison: Comparison) -> None:
    """Only tripletca is better than the reference, and ca, which comes second, is not resolved."""
    text = latex(comparison)
    entry = comparison.entry("tripletca", "top1")
    bold = re.findall(r"\\textbf\{([^}]*)\}", text)
    assert bold == (["97.90 $\\pm$ 0.16 (5)"] if entry.verdict == "better" else [])
    assert "underline" not in text
    assert "& params & MACs" in text


def test_csv_has_the_value_of_every_seed(comparison: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    first = next(one for one in rows if (one["row"], one["metric"]) == ("none", "top1"))
    assert [float(first[f"seed_{seed}"]) for seed in range(5)] == VALUES["none"]


def compiles(text: str, folder: Path) -> None:
    """Asserts that LaTeX takes a document and that nothing in it is wider than the line or longer than the page."""
    (folder / "table.tex").write_text(text)
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "table.tex"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull" not in done.stdout
    assert "Float too large" not in done.stdout


WIDE = ("lane_criteria", "step2", "fer_reg", "lane")


@pytest.mark.parametrize("name", WIDE)
def test_latex_breaks_wide_tables_into_blocks_with_every_number(name: str, tmp_path: Path) -> None:
    comparison = compare(Planner(tmp_path).plan(name, []))
    text = latex(comparison, document=True)
    blocks = text.split(r"\begin{tabular}")[1:]
    assert len(blocks) > 1
    headings = [heading for block in blocks for heading in re.findall(r"multicolumn\{\d\}\{c\}\{([^}]*)\}", block)]
    assert [heading.split(" (")[0] for heading in headings] == [
        escape(column) for column in comparison.plan.table.columns
    ]
    for block in blocks:
        body = block[block.index(r"\midrule") : block.index(r"\bottomrule")].splitlines()[1:]
        assert [line.split(" & ")[0] for line in body] == [escape(row.row.name) for row in comparison.plan.rows]
    assert text.count(r"\label") == 1
    assert text.count(r"\caption{(continued)}") == text.count(r"\begin{table}") - 1


@pytest.mark.extras
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex here")
@pytest.mark.parametrize("name", WIDE)
def test_wide_latex_compiles_within_the_page(name: str, tmp_path: Path) -> None:
    compiles(latex(compare(Planner(tmp_path).plan(name, [])), document=True), tmp_path)


def test_more_rows_than_fit_on_a_page_go_to_further_tables(comparison: Comparison, tmp_path: Path) -> None:
    longer = replace(comparison, plan=replace(comparison.plan, rows=[*comparison.plan.rows] * 10))
    text = latex(longer, document=True)
    assert text.count(r"\begin{table}") == 2
    assert len(re.findall(r"^tripletca & .* \\\\$", text, re.MULTILINE)) == 10
    if shutil.which("pdflatex"):
        compiles(text, tmp_path)


def test_latex_letters() -> None:
    assert escape("a_b & 5 % <x> ~ 1±2") == r"a\_b \& 5 \% \textless{}x\textgreater{} \textasciitilde{} 1$\pm$2"
    assert escape("ş ü") == "? ü"


def test_a_table_with_nothing_renders_in_every_format(tmp_path: Path) -> None:
    for name in ("gait", "lane_criteria", "pool", "modules"):
        comparison = compare(Planner(tmp_path).plan(name, QUICK if name == "modules" else []))
        console = Console(width=200, record=True, file=io.StringIO())
        print_table(comparison, console)
        blocked = name in ("lane_criteria", "pool")
        assert ("cannot run" if name == "pool" else "waiting") in console.export_text(), name
        for form in (markdown, latex, as_csv, as_json):
            assert "waiting" in form(comparison) or (blocked and "cannot run" in form(comparison))
