import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exp.tables.compare import compare
from exp.tables.figures import Figure, Point, Series, extent, figures, short, ticks
from exp.tables.plan import Planner
from exp.tables.report import page, write
from exp.tables.svg import draw
from tests.tables.cells import compared, fail
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
    assert "url(" not in text
    for word in (
        "97.90 ± 0.16 (5)",
        'class="text narrow better"',
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
    gait = text[text.index('<section id="gait">') :]
    assert "<details><summary>nothing of it has run" in gait
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
    for kind in ("lines", "points"):
        drawn = draw(Figure("f", "t", kind, "x", "y", (one,)))
        assert "a&lt;b" in drawn
        assert "nan" not in drawn
    forest = draw(Figure("f", "t", "forest", "x", "", (Series("a", 0, (Point(0.5, 0, 0.1, 0.9),)),)))
    assert 'class="zero"' in forest


def test_axes() -> None:
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(0.91, 0.99) == [0.92, 0.94, 0.96, 0.98]
    assert ticks(3, 3)
    assert extent([1.0, 3.0], 0.5) == (0.0, 4.0)
    assert [short(value) for value in (0.5, 1500, 25_000, 23_700_000, 4.1e9)] == ["0.5", "1500", "25k", "23.7M", "4.1G"]


PROBE = """<script>
const heads = [...document.querySelectorAll("#modules-recipe-quick-seed-0-1-2-3-4 th")];
const head = heads.find((one) => one.textContent === "reproduced");
const names = () => [...head.closest("table").tBodies[0].rows].map((row) => row.cells[0].textContent).join(" ");
head.click(); const up = names(); head.click(); const down = names();
const before = getComputedStyle(document.body).backgroundColor;
document.getElementById("theme").click();
const after = getComputedStyle(document.body).backgroundColor;
const fits = document.documentElement.scrollWidth <= innerWidth;
document.title = JSON.stringify({ up, down, themes: before !== after, fits,
  drawn: document.querySelector("svg polyline").getBBox().width > 50 });
</script></body>"""


@pytest.mark.extras
@pytest.mark.skipif(BROWSER is None, reason="no Chromium here")
@pytest.mark.parametrize("width", [1280, 500])
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
