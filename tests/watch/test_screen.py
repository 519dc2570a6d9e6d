import io
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from exp.commands.front import run_verb
from exp.watch.folder import Folder
from exp.watch.keys import named
from exp.watch.plot import plot
from exp.watch.terminal import LONGEST_PAUSE, LOOK_SECONDS, Pace, Terminal
from exp.watch.text_files import pictures, tail
from tests.conftest import ENVIRONMENT
from tests.tables.cells import fill
from tests.watch.cells import done, lines, put


def terminal(root: Path, width: int = 80, height: int = 24) -> Terminal:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=True, color_system=None)
    view = Terminal(Folder(root), "multirun", console)
    view.folder.look()
    return view


def drawn(view: Terminal) -> list[str]:
    with view.console.capture() as captured:
        view.console.print(view.drawn())
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    lines(done(tmp_path, "ca-digits-s0-x", top1=91.5), [80.0, 91.5])
    put(tmp_path / "attention" / "se-digits-s0-x" / "status.json", {"state": "failed", "error": "ValueError: no"})
    (tmp_path / "attention" / "se-digits-s0-x" / "error.txt").write_text("Traceback\n  [red]x[/red]\nValueError: no\n")
    return tmp_path


@pytest.mark.parametrize("width", [60, 80, 140])
def test_the_list_fits_its_terminal(root: Path, width: int) -> None:
    shown = drawn(terminal(root, width))
    text = "\n".join(shown)
    for words in (
        "2 cells",
        "1 failed",
        "1 done",
        "ValueError: no",
        "top1 91.5",
        "best epoch so far, in validation: top1 92.5, ca-digits-s0",
    ):
        assert words in text
    assert len(shown) <= 24
    assert max(map(len, shown)) <= width


def test_names_and_times_are_whole_on_eighty_letters(tmp_path: Path) -> None:
    for seed in range(2):
        folder = tmp_path / "attention" / f"triplet-0.003-400-width16-s{seed}-x"
        status = {"state": "running", "epoch": 51, "max_epochs": 400, "metrics": {"top1": 96.3}}
        put(folder / "status.json", status | {"samples_per_second": 64.0, "host": "vm", "device": "cpu"})
        lines(folder, [98.61, 96.3])
    shown = drawn(terminal(tmp_path))
    assert not [line for line in shown if "…" in line]
    for seed in range(2):
        assert any(f" triplet-0.003-400-width16-s{seed} " in line and "51/400" in line for line in shown)
    narrow = drawn(terminal(tmp_path, 50))
    assert any("…" in line and "s0" in line for line in narrow), "of a name too long its ends stay"
    assert max(map(len, narrow)) <= 50


def test_keys_open_curves_log_and_error_and_lead_back(root: Path) -> None:
    view = terminal(root)
    assert any(line.startswith("❯ se-digits-s0") for line in drawn(view))
    view.press("e")
    assert "  [red]x[/red]" in drawn(view), "what a file says is no markup"
    view.press("down")
    view.press("c")
    text = "\n".join(drawn(view))
    assert "ca-digits-s0  done" in text
    assert "val/top1" in text
    assert any(0x2800 < ord(letter) < 0x2900 for letter in text)
    view.press("l")
    assert "no log.txt" in "\n".join(drawn(view))
    view.press("escape")
    view.press("f")
    assert "1 to 1 of 1, failed alone" in "\n".join(drawn(view))
    view.press("q")
    assert view.over


def test_a_long_list_scrolls_with_its_cell(tmp_path: Path) -> None:
    for number in range(100):
        done(tmp_path, f"ca-w{number:02d}-s0-x")
    view = terminal(tmp_path)
    for key, cell in (("end", "ca-w99-s0"), ("page up", "ca-w79-s0"), ("k", "ca-w78-s0"), ("home", "ca-w00-s0")):
        view.press(key)
        shown = drawn(view)
        assert any(line.startswith(f"❯ {cell}") for line in shown), key
        assert len(shown) <= 24


def test_what_terminals_send_for_keys() -> None:
    assert named("j\x1b[A\x1b[6~q\r\x1b") == ["j", "up", "page down", "q", "enter", "escape"]
    assert named("\x1b[Z") == ["escape", "[", "Z"]


def test_curves_reach_the_corners_of_their_plot() -> None:
    rows = [line.plain for line in plot({"a": [(1.0, 0.0), (3.0, 8.0)]}, 30, 8)]
    assert len(rows) == 8
    assert rows[0].startswith("         8│")
    assert rows[0][-1] != "⠀"
    assert rows[5][11] != "⠀"
    assert rows[6].split("└")[1].split() == ["1", "3"]
    assert plot({"a": []}, 30, 8)[0].plain == "nothing measured yet"
    assert len(plot({"a": [(1.0, 5.0)]}, 30, 8)) == 8


def test_a_log_is_shown_without_its_terminal_commands(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    path.write_bytes(b"x" * 40_000 + b"\n\x1b]0;title\x07plain \xff\n\x1b[2Jcleared\nlast\n")
    assert tail(path).splitlines() == ["0;titleplain \N{REPLACEMENT CHARACTER}", "cleared", "last"]
    assert tail(path, 1) == "last"
    assert tail(tmp_path / "none.txt") == ""
    assert pictures(tmp_path / "none") == []


def test_work_is_paid_for_with_rest() -> None:
    pace = Pace()
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    assert LOOK_SECONDS < 5.0 <= pace.pause() <= LONGEST_PAUSE
    assert pace.pause() >= LOOK_SECONDS


def test_once_prints_a_folder_or_a_table_and_ends(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_verb("watch", [str(root), "--once"]) == 0
    assert "ca-digits-s0" in capsys.readouterr().out
    for words, output in [
        (["nothing"], "nothing: no such table"),
        (["a", "b"], "one table or folder at a time"),
        ([], "multirun: no such folder of cells"),
        ([str(root)], "no terminal to draw in"),
    ]:
        assert run_verb("watch", words) == 2
        assert output in capsys.readouterr().err
    fill(tmp_path / "multirun", "modules", ["recipe=quick", "seed=0"], {"none": [90.0]})
    assert run_verb("watch", ["modules", "recipe=quick", "seed=0", "--once"]) == 0
    out = capsys.readouterr().out
    assert "modules recipe=quick seed=0" in out
    assert "4 waiting" in out
    assert "tripletlka s0" in out


def test_a_real_terminal_is_drawn_in_and_given_back(root: Path) -> None:
    lead, follow = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "exp", "watch", str(root)],
        stdin=follow,
        stdout=follow,
        stderr=follow,
        env=ENVIRONMENT | {"TERM": "xterm", "COLUMNS": "90", "LINES": "20"},
        start_new_session=True,
    )
    os.close(follow)
    output = b""
    while b"q quit" not in output:
        output += os.read(lead, 1 << 16)
    os.write(lead, b"\x1b[Bcq")
    try:
        while True:
            output += os.read(lead, 1 << 16)
    except OSError:  # the terminal's other end is closed
        pass
    assert process.wait(60) == 0
    os.close(lead)
    assert b"\x1b[?1049h" in output
    assert output.rindex(b"\x1b[?1049l") > output.index(b"\x1b[?1049h"), "the screen as it was comes back"
