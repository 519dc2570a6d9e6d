"""Files of strangers: pickles that want to run something, checkpoints, results and tables with markup."""

import json
import os
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from exp.cells.cell import Cell
from exp.data.source import DataError
from exp.data.unpickle import read_pickle, read_pickled_array
from exp.options.errors import ConfigError
from exp.tables.compare import compare
from exp.tables.plan import Planner
from exp.tables.report import write
from exp.tasks.checkpoint import _read
from tests.tables.cells import compared, fail
from tests.tables.test_compare import SEEDS, VALUES

FLAG = "EXP_TEST_FLAG"


class Call:
    """Pickled, it is a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


class State:
    """Pickled, it is a state that its class applies."""

    def __reduce__(self) -> Any:
        return np.dtype, ("u1",), (3, "|", None, None, None, -1, -1, 0, {"a": Call(exec, code())})


def code() -> str:
    return f"import os; os.environ[{FLAG!r}] = 'run'"


def by_name(module: str, name: str, argument: str) -> bytes:
    return f"c{module}\n{name}\n(V{argument}\ntR.".encode()


MALICIOUS: dict[str, bytes] = {
    "os.system": by_name("os", "system", "touch flag"),
    "posix.system": by_name("posix", "system", "touch flag"),
    "eval": by_name("builtins", "eval", code()),
    "exec": by_name("builtins", "exec", code()),
    "Python 2 eval": by_name("__builtin__", "eval", code()),
    "getattr": by_name("builtins", "getattr", "x"),
    "import": by_name("builtins", "__import__", "os"),
    "subprocess": by_name("subprocess", "Popen", "touch flag"),
    "runpy": by_name("runpy", "_run_code", code()),
    "pty": by_name("pty", "spawn", "sh"),
    "codecs": by_name("codecs", "decode", "x"),
    "numpy.load": by_name("numpy", "load", "x"),
    "numpy's exec": by_name("numpy.testing._private.utils", "runstring", code()),
    "numpy inspect": by_name("numpy.f2py.crackfortran", "myeval", code()),
    "torch": by_name("torch", "load", "x"),
    "a name with dots": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__class__\x93.",
    "instance": b"(Vtouch flag\nios\nsystem\n.",
    "object": b"(cos\nsystem\nVtouch flag\no.",
    "new object": b"\x80\x02cos\nsystem\n(Vtouch flag\nt\x81.",
    "extension": b"\x80\x02\x82\x01.",
    "persistent": b"Vx\nQ.",
    "build": pickle.dumps(State()),
    "object array": pickle.dumps(np.array([Call(exec, code())], dtype=object)),
    "inside a dictionary": pickle.dumps({"data": Call(exec, code())}),
    "a key": pickle.dumps({Call(exec, code()): 1}),
    "setstate": b"cnumpy\nndarray\n(Vx\ntR}Va\nVb\nsb.",
    "encode": by_name("_codecs", "encode", "x").replace(b"tR", b"Vrot13\ntR"),
    "memo bomb": b"\x80\x02}r\xff\xff\xff\x7f.",
    "bytes bomb": b"\x80\x04\x8e\xff\xff\xff\xff\xff\x00\x00\x00x.",
    "deep": b"(" * 50_000 + b"." + b"]" * 100_000,
}


@pytest.mark.parametrize("name", MALICIOUS)
def test_a_malicious_pickle_is_refused_and_runs_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(FLAG, raising=False)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.pkl"
    path.write_bytes(MALICIOUS[name])
    for read in (read_pickle, read_pickled_array):
        with pytest.raises(DataError, match=r"file.pkl: (refused|damaged|holds)") as error:
            read(path)
        assert len(str(error.value).splitlines()) == 1
    assert FLAG not in os.environ
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.pkl"]


def test_honest_pickles_are_read(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    value = {"data": np.arange(6, dtype=np.uint8).reshape(2, 3), "labels": [1, 2]}
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickletools.optimize(pickle.dumps(value, protocol)))
        assert np.array_equal(read_pickle(path)["data"], value["data"])


def test_a_checkpoint_of_a_stranger_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FLAG, raising=False)
    path = tmp_path / "best.ckpt"
    for kept in ({"state_dict": Call(exec, code())}, Call(exec, code()), {"state_dict": 1}, [1]):
        torch.save(kept, path)
        with pytest.raises(ConfigError, match="not a checkpoint of exp"):
            _read(str(path))
    path.write_bytes(pickle.dumps({"state_dict": Call(exec, code())}))
    with pytest.raises(ConfigError, match="not a checkpoint of exp"):
        _read(str(path))
    assert FLAG not in os.environ


def test_torch_load_is_always_told_to_load_weights_only() -> None:
    source = Path(__file__).parents[2] / "src"
    calls = [
        line.strip()
        for path in source.rglob("*.py")
        for line in path.read_text().splitlines()
        if "torch.load(" in line and not line.strip().startswith("#")
    ]
    assert calls
    assert [call for call in calls if "weights_only=True" not in call] == []


@pytest.mark.parametrize(
    "word", ["shell=True", "os.system(", "os.popen(", "pickle.load(", "pickle.loads(", "yaml.load("]
)
def test_nothing_runs_shell_strings_or_plain_pickles(word: str) -> None:
    source = Path(__file__).parents[2] / "src"
    lines = [line for path in source.rglob("*.py") for line in path.read_text().splitlines() if word in line]
    assert [line for line in lines if "yaml.SafeLoader" not in line] == []


def test_configuration_cannot_name_callables(tmp_path: Path) -> None:
    cell = tmp_path / "task" / "x-0"
    cell.mkdir(parents=True)
    (cell / "config.json").write_text(
        '{"key": "0", "slug": "x", "identity": {}, "config": {"task": {"name": "os:system", "_target_": "os.system"}}}'
    )
    with pytest.raises(ConfigError):
        Cell(cell).resolved  # noqa: B018


MARKUP = "\"><img src=x onerror=alert(1)><script>alert(1)</script>'"


@pytest.mark.slow
def test_a_report_of_strangers_results_is_safe_to_open(tmp_path: Path) -> None:
    compared(tmp_path, "modules", SEEDS, VALUES)
    plan = Planner(tmp_path).plan("modules", SEEDS)
    folder = plan.rows[0].cells[0].cell.path
    result = json.loads((folder / "result.json").read_text())
    spoilt = dict.fromkeys(("device", "command", "host", "platform", "slug", "weights_sha256", "narrowed"), MARKUP)
    (folder / "result.json").write_text(json.dumps(result | spoilt | {"code": {MARKUP: MARKUP}, "overrides": [MARKUP]}))
    (folder / f"{MARKUP.replace('/', '')}.png").write_bytes(b"x")
    lines = [
        {"split": MARKUP, "epoch": 0, "step": 1, MARKUP: 1.0},
        {"split": "val", "epoch": 1, "step": 2, MARKUP: 1.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    fail(plan.rows[1].cells[0], error=MARKUP)
    text = write([compare(Planner(tmp_path).plan("modules", SEEDS))], tmp_path).read_text()
    assert "<script>alert" not in text
    assert "<img src=x" not in text


@pytest.mark.slow
def test_keys_are_in_no_file_that_a_cell_leaves(
    train: Callable[..., dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "0123456789abcdef" * 2 + "f" * 8
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_MODE", "offline")
    result = train("logger=wandb", "trainer.max_epochs=1", "optim.warmup=0")
    assert result["test"]
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("wandb" in str(path) for path in files)
    assert [str(path) for path in files if key.encode() in path.read_bytes()] == []
