"""A task that is a single file: read without being run, its signatures become options, and slips are said with the line."""

from pathlib import Path
from typing import Any

import pytest

from exp.data.arrays import Arrays
from exp.options import study
from exp.options.errors import ConfigError, DataError
from exp.options.fields import docs, explain, fields

FILE = '''"""Points in two classes."""
raise RuntimeError("is not run to be read")
from typing import Literal

def data(*, n: int = 8, file: Path = Path("points.npz")):
    """Drawn points.

    Args:
        n: Points of a part.
        file: Where they lie.
    """

class Model(nn.Module):
    """A small net.

    Args:
        width: Units of
            a layer.
    """

    def __init__(self, width: int = 4, *, act: Literal["relu", "tanh"] = "relu", rates: list[float] = (0.1, 0.2), att=None):
        pass

def loss(model, x, y, *, smoothing=0.5, scale: float | None = None):
    pass

def scores(model, x, y, *, smoothing=0.5):
    pass

best = "top1"
lower_is_better = ["nll"]
defaults = {"lr": 0.01, "max_epochs": 3}
'''


@pytest.fixture(autouse=True)
def forget() -> Any:
    before = dict(study.STUDIES)
    yield
    study.STUDIES.clear()
    study.STUDIES.update(before)


def read(folder: Path, text: str = FILE, name: str = "points.py") -> study.StudyFile:
    path = folder / name
    path.write_text(text)
    return study.read(path)


def test_signatures_are_options(tmp_path: Path) -> None:
    declared = read(tmp_path)
    task, model, data = declared.parts
    assert (task.name, model.name, data.name) == ("points",) * 3
    assert (task.monitor, task.mode) == ("top1", "max")  # type: ignore[attr-defined]
    assert [explain(model, name) for name in fields(model)] == [
        "init=own (str)", "width=4 (int)", "act=relu (relu|tanh)", "rates=[0.1, 0.2] (a list of float)",
    ]  # fmt: skip
    assert docs(model)["width"] == "Units of a layer."
    assert docs(data)["n"] == "Points of a part."
    assert explain(task, "smoothing") == "smoothing=0.5 (float)"
    assert explain(task, "scale") == "scale=null (float or none)"
    assert not fields(data)["file"].metadata["identity"]
    assert model.takes_att  # type: ignore[attr-defined]
    assert task.lower == ("nll",)  # type: ignore[attr-defined]
    assert declared.recipe["trainer"]["max_epochs"] == 3
    assert declared.recipe["optim"]["lr"] == 0.01


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("def data(", "def dat(", "points.py: defines no function data; did you mean 'dat'"),
        ("class Model", "class Modl", "defines no class Model; did you mean 'Modl'"),
        ("n: int = 8", "n: int", "points.py:5: data's n: give it a default value"),
        ("n: int = 8", "n: int = len('a')", "data's n: its default has to be written out"),
        ("n: int = 8", "n: int = 0.5", "the default of n=0.5: expected int, got float"),
        ("n: int = 8", "seed: int = 8", "data's seed: seed is the run's own; call it split_seed"),
        ("n: int = 8", "kind: int = 8", "kind: is a word of exp's own; call yours otherwise, such as my_kind"),
        ("width: int = 4", "kind: int = 4", "kind: is a word of exp's own"),
        ("smoothing=0.5, scale", "mode='min', scale", "mode: is a word of exp's own"),
        ("smoothing=0.5):", "monitor='val'):", "monitor: is a word of exp's own"),
        ('lower_is_better = ["nll"]', "lower_is_better = 'nll'", "lower_is_better has to be a list of metrics"),
        ("n: int = 8", "n: Tensor = 8", "Tensor is no type that a command line can give"),
        ('npz")):', 'npz"), **more):', r"data takes \*\*more"),
        ("smoothing=0.5, scale", "select='val', scale", "select: every StudyTaskOptions has an option of that name"),
        ('best = "top1"', "best = 3", "points.py:30: best has to be the name of a metric"),
        ('best = "top1"', 'best = "top1"\nlowest = "loss"', "names both best and lowest"),
        ('"lr": 0.01', '"rate": 0.01', "defaults: rate is no option of optim or trainer"),
        ('"lr": 0.01', '"width": 8', "defaults: width is no option of optim or trainer; set it in the signature"),
        ('"lr": 0.01', '"lr": "fast"', "defaults: lr=fast: expected float, got str"),
        ("def loss(", "def loss", r"points.py:\d+: not Python"),
    ],
)
def test_slips_are_said_with_file_and_line(before: str, after: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said):
        read(tmp_path, FILE.replace(before, after))


def test_files_that_cannot_be_tasks(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        study.read(tmp_path / "absent.py")
    with pytest.raises(ConfigError, match="the file's name is the task's"):
        read(tmp_path, FILE, "my-points.py")
    read(tmp_path)
    (tmp_path / "other").mkdir()
    with pytest.raises(ConfigError, match=r"a task of that name is .*points\.py"):
        read(tmp_path / "other")


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("[1, 2]", "data returned list"),
        ("{'train': ([1.0], [0])}", "data returned .*; return a dict with train, test"),
        ("{'train': ([1.0], [0]), 'test': [1.0][0]}", "data's test is float; return a tuple"),
        ("{'train': ([1.0, 2.0], [0]), 'test': ([1.0], [0])}", "arrays of 2, 1 rows"),
        ("{'train': (['a'], [0]), 'test': ([1.0], [0])}", "not numbers"),
    ],
)
def test_data_of_another_form(returned: str, said: str, tmp_path: Path) -> None:
    text = f"def data(): return {returned}\nclass Model: pass\ndef loss(model, x, y): pass\n"
    name = f"form{abs(hash(returned))}"
    declared = read(tmp_path, text, f"{name}.py")
    with pytest.raises(DataError, match=said):
        Arrays(declared.parts[2]()).load()  # type: ignore[arg-type]


def test_contents_of_named_files_are_the_fingerprint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    reader = Arrays(read(tmp_path).parts[2]())  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"data\.file=points\.npz: no such file or folder"):
        reader.check()
    Path("points.npz").write_bytes(b"one")
    first = reader.check()
    Path("points.npz").write_bytes(b"two!")
    assert reader.check() != first


def test_contents_of_files_written_out_in_the_code_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = """def data(): return np.load("x.npz")["x"], "absent.npz", "a sentence. Of words"
class Model: pass
def loss(model, x, y): pass
"""
    Path("x.npz").write_bytes(b"one")
    reader = Arrays(read(tmp_path, text, "written.py").parts[2]())  # type: ignore[arg-type]
    first = reader.check()
    Path("x.npz").write_bytes(b"two!")
    assert reader.check() != first
