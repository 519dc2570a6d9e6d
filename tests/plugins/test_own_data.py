"""What docs/adding-data.md writes for a set of one's own runs as it is written there."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import exp, results

PAGE = (Path(__file__).parents[2] / "docs" / "adding-data.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`(leaves/\w+\.py)`\n\n```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE))


def test_the_page_counts_its_lines() -> None:
    written = [line for text in FILES.values() for line in text.splitlines() if line.strip()]
    assert set(FILES) == {"leaves/options.py", "leaves/data.py"}
    assert f"Two files become yours, here {len(written)} lines" in PAGE


@pytest.mark.slow
def test_a_set_in_an_npz_file(tmp_path: Path) -> None:
    assert exp("new", "data", "leaves", cwd=tmp_path).returncode == 0
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    words = ("data=leaves", "data.root=DATA", "model=resnet18", "width=4", "trainer.max_epochs=1", "trainer.threads=1")
    missing = exp(*words, cwd=tmp_path)
    assert missing.returncode == 2
    assert missing.stderr == "exp: leaves: data.root is DATA, which is no folder; the set comes from the herbarium\n"
    draw, arrays = np.random.RandomState(0), {}
    for part, count in (("train", 160), ("val", 20), ("test", 30)):
        arrays[f"{part}_images"] = draw.randint(0, 256, (count, 1, 32, 32)).astype(np.uint8)
        arrays[f"{part}_labels"] = draw.randint(0, 5, count)
    (tmp_path / "DATA").mkdir()
    np.savez(tmp_path / "DATA" / "leaves.npz", **arrays)
    assert "train 160, val 20, test 30" in exp("data", "leaves", "root=DATA", cwd=tmp_path).stdout
    done = exp(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    (result,) = results(tmp_path / "multirun")
    assert result["class_names"] == ["ash", "beech", "elm", "lime", "oak"]
    arrays["test_images"][0] = 0
    np.savez(tmp_path / "DATA" / "leaves.npz", **arrays)
    assert "changed since" in exp(*words, cwd=tmp_path).stdout
