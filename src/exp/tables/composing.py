"""Composed configurations kept on disk between commands: composing takes Hydra a tenth of a second each."""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from exp.cells.files import read_json, write_json
from exp.cells.provenance import PACKAGE
from exp.data.cache import cache_folder
from exp.options.compose import Composition, conf_dirs
from exp.options.errors import ConfigError
from exp.options.plugins import active
from exp.options.study import STUDIES

FOLDER = "composed"
"""Below the cache folder: one file for each state of the options and the YAML."""

KEPT = 20
"""Files of states used last that stay."""


class Composer:
    """Composes overrides, and remembers in the machine's cache what came out.

    Args:
        compose: Composes; under Hydra's own application its, else ours.

    Attributes:
        folders: Further folders of configuration, absolute.
    """

    def __init__(self, compose: Composition) -> None:
        self._compose = compose
        self.folders = compose.folders
        further = [path for folder in compose.folders for path in Path(folder).rglob("*.yaml")]
        shipped = [*PACKAGE.glob("options/*.py"), *PACKAGE.glob("**/options.py")]
        own = [path for plugin in active() for path in plugin.path.rglob("options.py")]
        configured = [path for folder in conf_dirs() for path in folder.rglob("*.yaml")]
        files = [study.path for study in STUDIES.values()]
        state = _state_of([*configured, *shipped, *own, *files, *further])
        self._path = cache_folder() / FOLDER / f"{state}.json"
        self._known: dict[str, dict[str, Any]] = read_json(self._path) or {}
        self._failed: dict[str, str] = {}
        self._fresh = False
        with contextlib.suppress(OSError):
            os.utime(self._path)

    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        """Returns the configuration as a plain dictionary, which is not to be changed.

        Raises:
            ConfigError: An override names nothing or is not well-formed.
        """
        key = json.dumps([self._compose.name, *self._compose.folders, *overrides])
        if key in self._failed:
            raise ConfigError(self._failed[key])
        if key not in self._known:
            try:
                self._known[key] = self._compose(overrides)
            except ConfigError as error:
                self._failed[key] = str(error)
                raise
            self._fresh = True
        return self._known[key]

    def keep(self) -> None:
        """Writes what was composed anew, where the cache can be written."""
        if not self._fresh:
            return
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, self._known)
            files = sorted(self._path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in files[:-KEPT]:
                path.unlink()
        self._fresh = False


def _state_of(files: Iterable[Path]) -> str:
    """Changes whenever one of the files does, or Hydra."""
    digest = hashlib.sha256(version("hydra-core").encode())
    for path in sorted(files):
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
