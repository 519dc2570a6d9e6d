import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exp.cells.files import write_json
from exp.tables.compare import compare
from exp.tables.drawing import inline
from exp.tables.figures import Figure, Point, Series, figures
from exp.tables.plan import Planner
from exp.tables.reading import load
from exp.tables.report import page, write
from tests.tables.cells import QUICK, compared, fail, fill
from tests.tables.test_compare import SEEDS, VALUES

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001e221bc33"
    "0000000049454e44ae426082"
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tmp_path = tmp_path_factory.mktemp("report")
    compared(tmp_path, "modules", SEEDS, VALUES)
    plan = Planner(tmp_path).plan("modules", SEEDS)
    fail(plan.rows[4].cells[1], error="ValueError: <script>alert(1)</script>")
    (plan.rows[0].cells[0].cell.path / "confusion.png").write_bytes(PIXEL)
    planner = Planner(tmp_path)
    return write([compare(planner.plan("modules", SEEDS)), compare(planner.plan("gait"))], tmp_path)


def test_one_file_with_tables_figures_failures_pictures_and_links(report: Path) -> None:
    text = report.read_text()
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", text)
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text), "only to clip paths of the page itself"
    for word in (
        "97.90 ± 0.16 (5)",
        'class="text better"',
        "64.6",
        "Failed cells",
        "Claims",
        "Notes and doubts",
    ):
        assert word in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert text.count("<svg") == len(figures(compare(Planner(report.parent).plan("modules", SEEDS))))
    assert "data:image/png;base64," in text
    links = re.findall(r'href="(attention/[^"]+/)"', text)
    assert len(links) == 5 + 5 + 5 + 5 + 2
    assert all((report.parent / link).is_dir() for link in links)


def test_what_has_not_run_is_there_and_folded(report: Path) -> None:
    text = report.read_text()
    folded = text.index('<details class="untouched"><summary>1 table of which nothing has run: gait</summary>')
    assert text.index('<section id="modules-recipe') < folded
    gait = text[text.index('<section id="gait"') :]
    assert folded < text.index('<section id="gait"')
    for number in ("97.35", "78.36", "failed"):
        assert number in gait


def test_figures_for_a_paper(report: Path) -> None:
    kinds = {path.suffix for path in (report.parent / "figures").iterdir()}
    assert kinds == {".svg", ".pdf"}
    curve = next((report.parent / "figures").glob("*top1-epoch.svg")).read_text()
    assert ">tripletca</text>" in curve
    pdf = next((report.parent / "figures").glob("*top1-epoch.pdf")).read_bytes()
    assert pdf.startswith(b"%PDF")


def test_curves_leave_the_final_test_out(tmp_path: Path) -> None:
    comparison = compared(tmp_path, "modules", SEEDS, VALUES)
    curve = next(one for one in figures(comparison) if one.name == "top1-epoch")
    assert [point.x for point in curve.series[0].points] == [1, 2, 3]
    assert curve.series[0].points[2].y == pytest.approx(sum(VALUES["none"]) / 5)
    assert [one.strong for one in curve.series] == [False, True, False, False, False]


def test_page_of_one_table_has_no_overview(tmp_path: Path) -> None:
    text = page([compared(tmp_path, "modules", SEEDS, VALUES)], tmp_path)
    assert "run with" not in text


def test_a_figure_of_one_epoch_and_one_row_is_drawn() -> None:
    one = Series("a<b", 0, (Point(1, 5.0),))
    for kind in ("lines", "points", "steps"):
        drawn = inline(Figure("f", "t", kind, "x", "y", (one,)))
        assert drawn.startswith('<svg class="figure"')
        assert "var(--c0)" in drawn
        assert "var(--fg)" in drawn
        assert not re.search("#[0-9a-f]{6}", drawn), "a colour that dark pages cannot change"
        assert "nan" not in drawn
    assert "a&lt;b" in inline(Figure("f", "t", "points", "x", "y", (one,)))
    forest = inline(Figure("f", "t", "forest", "x", "", (Series("a", 0, (Point(0.5, 0, 0.1, 0.9),)),)))
    assert "stroke-dasharray" in forest


def test_curves_of_every_metric_and_of_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.yaml").write_text(
        "title: t\nbase: {task: attention, recipe: quick}\nrows: {a: {att: none}}\nseeds: [0]\n"
        "columns: {last: {metric: last/top1}, loss: {metric: train/loss}}\n"
    )
    monkeypatch.chdir(tmp_path)
    plan = fill(tmp_path, "mine", [], {"a": [90.0]})
    write_json(plan.cells[0].cell.path / "result.json", (plan.cells[0].result or {}) | {"gates": {"histograms": GATES}})
    drawn = {one.name: one for one in figures(compare(Planner(tmp_path).plan("mine")))}
    assert {"top1-epoch", "train-loss-epoch", "gates"} <= set(drawn)
    assert [point.y for point in drawn["gates"].series[0].points] == [25.0, 75.0]


GATES = {"layer1": [1, 2], "layer2": [0, 1]}


PROBE = """<script>
const heads = [...document.querySelectorAll("#modules-recipe-quick-seed-0-1-2-3-4 thead th")];
const head = heads.find((one) => one.textContent === "reproduced");
const names = () => [...head.closest("table").tBodies[0].rows].map((row) => row.cells[0].textContent).join(" ");
head.click(); const up = names();
head.dispatchEvent(new KeyboardEvent("keydown", { key: " ", bubbles: true, cancelable: true })); const down = names();
const before = getComputedStyle(document.body).backgroundColor;
document.getElementById("theme").click();
const after = getComputedStyle(document.body).backgroundColor;
const fits = document.documentElement.scrollWidth <= innerWidth;
document.title = JSON.stringify({ up, down, themes: before !== after, fits,
  drawn: document.querySelector("svg.figure path").getBBox().width > 50 });
</script></body>"""


@pytest.mark.extras
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [500, pytest.param(1280, marks=pytest.mark.slow)])
def test_in_a_browser(report: Path, width: int) -> None:
    """No complaint on the console (the page's policy turns a request into one); sorting and theme work."""
    probed = report.with_name("probed.html")
    probed.write_text(report.read_text().replace("</body>", PROBE))
    done = subprocess.run(
        [
            str(BROWSER),
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--enable-logging=stderr",
            f"--user-data-dir={report.parent}/browser",
            f"--window-size={width},900",
            "--dump-dom",
            probed.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "CONSOLE" not in done.stderr, done.stderr
    title = re.search(r"<title>(.*?)</title>", done.stdout)
    assert title is not None
    assert title[1] == (
        '{"up":"none tripletlka triplet ca tripletca","down":"tripletca ca triplet tripletlka none",'
        '"themes":true,"fits":true,"drawn":true}'
    )


@pytest.mark.extras
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
def test_the_browser_test_would_see_a_request(report: Path) -> None:
    bad = report.with_name("bad.html")
    bad.write_text(report.read_text().replace("</body>", '<img src="http://127.0.0.1:9/x.png"></body>'))
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"]
    command += [f"--user-data-dir={report.parent}/browser", "--dump-dom", bad.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" in done.stderr
    assert "Content Security Policy" in done.stderr


@pytest.mark.skipif(BROWSER is None or shutil.which("pdftotext") is None, reason="no Chromium or no poppler here")
@pytest.mark.slow
def test_printed_it_is_light_with_pictures_and_without_what_has_not_run(report: Path, tmp_path: Path) -> None:
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/browser"]
    command += [f"--print-to-pdf={tmp_path}/page.pdf", f"{report.as_uri()}?theme=dark"]
    subprocess.run(command, capture_output=True, timeout=120, check=True)
    text = subprocess.run(
        ["pdftotext", str(tmp_path / "page.pdf"), "-"], capture_output=True, text=True, check=True
    ).stdout
    pages = text.removesuffix("\f").split("\f")
    assert all(page.strip() for page in pages)
    assert "none, seed 0" in text, "the caption of a picture that is folded on the screen"
    assert "97.35" not in text


def test_a_row_that_is_compared_with_another_than_the_reference_says_so(tmp_path: Path) -> None:
    values = {name: [90.0 + place, 91.0, 92.5 + place] for place, name in enumerate(load("ca_axes").rows)}
    drawn = figures(compared(tmp_path, "ca_axes", [*QUICK, "seed=0,1,2"], values))
    names = [one.name for figure in drawn if figure.kind == "forest" for one in figure.series]
    assert {"cw", "tripletca hw+cw+ch (less tripletca hw)"} <= set(names)
