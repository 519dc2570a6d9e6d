"""Where a cell's starting weights come from, as ``ckpt=`` and ``init=`` spell it. Imports no torch.

``ckpt=CELL`` takes all weights of a cell of the same network; ``init=CELL`` takes those that fit, and
``init=PATH:PREFIX`` those below a module of any checkpoint, such as its backbone.
"""

import hashlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from exp.options.errors import ConfigError

OWN, TIMM = "own", "timm"
"""``init=`` without a checkpoint: the network's own initialisation, and timm's pretrained weights."""


def refuse_timm(model: str, theirs: str, having: Iterable[str]) -> None:
    """Refuses timm's weights for a network that timm does not have, and where timm is not installed.

    Args:
        model: The network.
        theirs: timm's name of it, empty where it has none.
        having: The networks that it has.

    Raises:
        ConfigError: They cannot be had.
    """
    if not theirs:
        raise ConfigError(f"init=timm: timm has no {model}; it has {', '.join(having)}")
    if importlib.util.find_spec("timm") is None:
        raise ConfigError("init=timm: timm is not installed: pip install 'exp-tables[timm]'")


def parted(init: str) -> tuple[Path, str]:
    """Returns the path and the prefix of ``PATH:PREFIX``; the prefix is empty where there is none."""
    path, colon, prefix = init.rpartition(":")
    if not colon or Path(init).expanduser().exists():
        return Path(init).expanduser(), ""
    return Path(path).expanduser(), prefix


def checkpoint_of(path: Path, where: str) -> Path:
    """Returns the checkpoint that a path names: itself, or of a cell's folder ``best.ckpt``, else ``last.ckpt``.

    Raises:
        ConfigError: The folder holds none.
    """
    if not path.is_dir():
        return path
    known = [path / f"{name}.ckpt" for name in ("best", "last")]
    kept = next((one for one in known if one.is_file()), None)
    if kept is None:
        raise ConfigError(f"{where}: holds neither best.ckpt nor last.ckpt; cells.keep=best keeps one")
    return kept


def completed(init: str, where: str) -> str:
    """Returns ``init`` with a cell's folder replaced by its checkpoint.

    Raises:
        ConfigError: It names neither a checkpoint nor another way to start.
    """
    if init in (OWN, TIMM):
        return init
    path, prefix = parted(init)
    if not path.exists():
        raise ConfigError(f"{where}={init}: neither own, timm nor the path of a cell or checkpoint")
    path = checkpoint_of(path, f"{where}={init}")
    return f"{path}:{prefix}" if prefix else str(path)


def content(path: str | Path, where: str) -> str:
    """Returns a hash of a checkpoint's content, which decides what cell it makes.

    Raises:
        ConfigError: It cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()[:16]
    except (OSError, ValueError) as error:
        why = str(getattr(error, "strerror", None) or error).lower()
        raise ConfigError(f"{where}={path}: {why}; give the path of a .ckpt file") from error


def distinguishing(init: str) -> str | list[str]:
    """Returns what of ``init`` belongs to a cell's identity: ``timm``, or a checkpoint's content and the prefix."""
    if init == TIMM:
        return init
    path, prefix = parted(init)
    return [content(path, "init"), prefix] if prefix else [content(path, "init")]
