"""A checkpoint that is damaged or gone: the run goes on from the one before it, or starts anew, and ends the same."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from exp.callbacks.checkpoint import Interrupted, Keeper
from tests.run.test_resume import StopAt, _method, run


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cell stopped twice, with two generations of its checkpoint."""
    folder = tmp_path_factory.mktemp("stopped")
    with pytest.MonkeyPatch.context() as patch:
        for stop in ((1, 3), (2, 1)):
            patch.setattr(Keeper, "on_train_batch_end", _method(StopAt(*stop)))
            with pytest.raises(Interrupted):
                run(folder)
    assert {"last.ckpt", "former.ckpt", "best.ckpt"} <= {path.name for path in folder.iterdir()}
    return folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(tmp_path_factory.mktemp("whole"))["weights_sha256"]


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    "spoil",
    [
        cut,
        flip,
        empty,
        Path.unlink,
    ],
    ids=["cut", "flipped", "empty", "gone"],
)
def test_the_former_takes_its_place(
    spoil: Callable[[Path], None], stopped: Path, whole: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(stopped, tmp_path / "cell")
    spoil(folder / "last.ckpt")
    before = (folder / "former.ckpt").read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Keeper, "on_train_batch_end", _method(StopAt(2, 5)))
        with pytest.raises(Interrupted):
            run(folder)
    if spoil is not Path.unlink:
        assert "last.ckpt: damaged" in capsys.readouterr().err
    assert (folder / "former.ckpt").read_bytes() == before, "a damaged one never replaces a good one"
    assert run(folder)["weights_sha256"] == whole


@pytest.mark.slow
@pytest.mark.parametrize("names", [("last.ckpt", "former.ckpt"), ("best.ckpt",)], ids=" ".join)
def test_without_a_good_one_it_starts_anew(
    names: tuple[str, ...], stopped: Path, whole: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(stopped, tmp_path / "cell")
    for name in names:
        flip(folder / name)
    result = run(folder)
    assert "no checkpoint is left; starting anew" in capsys.readouterr().err
    assert result["weights_sha256"] == whole
    assert result["samples_seen"] == 3 * 1222
