"""Composed configurations kept on disk between commands: composing takes Hydra a tenth of a second each."""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from exp.cells.files import read_json, write_json
from exp.cells.provenance import PACKAGE
from exp.options.compose import Composition, conf_dirs
from exp.options.errors import ConfigError
from exp.options.plugins import active
from exp.options.study import STUDIES

FILE = ".composed.json"


class Composer:
    """Composes overrides, and remembers under the cells' folder what came out.

    Args:
        root: Folder of all cells; nothing is kept where it cannot be written.
        compose: Composes; under Hydra's own application its, else ours.

    Attributes:
        folders: Further folders of configuration, absolute.
    """

    def __init__(self, root: Path, compose: Composition) -> None:
        self._compose = compose
        self.folders = compose.folders
        self._path = root / FILE
        further = [path for folder in compose.folders for path in Path(folder).rglob("*.yaml")]
        shipped = [*PACKAGE.glob("options/*.py"), *PACKAGE.glob("**/options.py")]
        own = [path for plugin in active() for path in plugin.path.rglob("options.py")]
        configured = [path for folder in conf_dirs() for path in folder.rglob("*.yaml")]
        files = [study.path for study in STUDIES.values()]
        self._now = _state_of([*configured, *shipped, *own, *files, *further])
        kept = read_json(self._path) or {}
        self._known: dict[str, dict[str, Any]] = kept.get("composed", {}) if kept.get("state") == self._now else {}
        self._failed: dict[str, str] = {}
        self._fresh = False

    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        """The configuration as a plain dictionary.

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
        return json.loads(json.dumps(self._known[key]))

    def keep(self) -> None:
        """Writes what was composed anew."""
        if not self._fresh:
            return
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_json(self._path, {"state": self._now, "composed": self._known})
        except OSError:
            return
        self._fresh = False


def _state_of(files: Iterable[Path]) -> str:
    """Changes whenever one of the files does."""
    digest = hashlib.sha256()
    for path in sorted(files):
        stat = path.stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]
