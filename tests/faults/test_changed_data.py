"""Data that change, and another set under the same options: a result is never shown for data it was not made from."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import ENVIRONMENT, exp

pytestmark = pytest.mark.slow  # nine real processes; what they rest on is tested quickly beside what decides it

RUN = [
    "data=imagefolder",
    "data.size=8",
    "width=4",
    "trainer.max_epochs=1",
    "trainer.threads=1",
    "trainer.accelerator=cpu",
    "optim.warmup=0",
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENVIRONMENT, "EXP_CACHE", str(tmp_path / "cache"))


def images(root: Path, bright: dict[str, int]) -> Path:
    """Class folders of grey .bmp images, all of one size in bytes, as bright as said."""
    for part, count in (("train", 10), ("val", 4)):
        for name, value in bright.items():
            for number in range(count):
                path = root / part / name / f"{number}.bmp"
                path.parent.mkdir(parents=True, exist_ok=True)
                assert cv2.imwrite(str(path), np.full((8, 8, 3), value + number, np.uint8))
    return root


def results(folder: Path) -> dict[str, dict]:
    read = (json.loads(path.read_text()) for path in folder.glob("multirun/*/*/result.json"))
    return {result["config"]["data"]["root"]: result for result in read}


def test_two_sets_of_equal_names_and_sizes_are_two_cells(tmp_path: Path) -> None:
    a = images(tmp_path / "a", {"dark": 20, "light": 200})
    b = images(tmp_path / "b", {"dark": 200, "light": 20})  # the classes' folders swapped
    both = exp("--multirun", *RUN, f"data.root={a},{b}", cwd=tmp_path)
    assert both.returncode == 0, both.stderr
    assert "2 cells run" in both.stdout
    first = results(tmp_path)
    assert first[str(a)]["data_fingerprint"] != first[str(b)]["data_fingerprint"]
    assert first[str(a)]["weights_sha256"] != first[str(b)]["weights_sha256"], "the second's own pixels were learnt"
    again = exp("--multirun", *RUN, f"data.root={a},{b}", cwd=tmp_path)
    assert "0 cells run, 2 not run again" in again.stdout

    best = next((tmp_path / "multirun").glob("*/*/best.ckpt"))
    tests = {}
    for root in (a, b):
        ran = exp(*RUN, f"data.root={root}", f"ckpt={best}", "trainer.max_epochs=0", cwd=tmp_path)
        assert ran.returncode == 0, ran.stderr
        assert "is done" not in ran.stdout
        tests[root] = re.search(r"^test .*loss ([\d.]+)", ran.stdout, re.MULTILINE)[1]
    assert tests[a] != tests[b]


def test_changed_pixels_make_a_cell_stale_and_are_read_when_it_runs_anew(tmp_path: Path) -> None:
    a = images(tmp_path / "a", {"dark": 20, "light": 200})
    words = [*RUN, f"data.root={a}"]
    assert exp(*words, cwd=tmp_path).returncode == 0
    before = results(tmp_path)[str(a)]
    images(a, {"dark": 90, "light": 130})
    said = exp(*words, cwd=tmp_path)
    assert said.returncode == 0
    assert "is done but stale: changed since it ran: data; not run again (sweep.force=stale" in said.stdout
    assert "test (on the data as they were then)" in said.stdout
    assert "1 stale: changed since they ran: data" in exp("--multirun", *words, cwd=tmp_path).stdout
    ran = exp(*words, "sweep.force=stale", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    after = results(tmp_path)[str(a)]
    assert after["data_fingerprint"] != before["data_fingerprint"]
    assert after["weights_sha256"] != before["weights_sha256"]
    assert "is done; not run again" in exp(*words, cwd=tmp_path).stdout
