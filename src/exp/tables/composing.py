"""Composed configurations kept on disk between commands: composing takes Hydra a tenth of a second each."""

import functools
import json
import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

from exp.options.compose import Composition
from exp.options.errors import ConfigError
from exp.options.folders import PACKAGE, conf_dirs
from exp.options.plugins import active
from exp.options.study import STUDIES
from exp.tables.keeping import Kept, files_below, state_of

FOLDER = "composed"
"""Below the cache folder: one file for each state of the options and the YAML."""

CALLED = re.compile(r"\$\{[\w.]+:")
"""An interpolation that calls something, ``${oc.env:NAME}`` say, so that what it gives is not known by its text."""


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
        folders: list[str | Path] = [*conf_dirs(), *compose.folders]
        self._yaml = [path for folder in folders for path in files_below(folder, ".yaml")]
        shipped = [*files_below(PACKAGE / "options", ".py"), *files_below(PACKAGE, "/options.py")]
        own = [path for plugin in active() for path in files_below(plugin.path, ".py")]
        self._kept = Kept(FOLDER, state_of([*self._yaml, *shipped, *own], version("hydra-core")))
        self._files: dict[tuple[Path, ...], str] = {}
        self._known: dict[str, dict[str, Any]] = self._kept.read()
        self._failed: dict[str, str] = {}
        self._fresh = False

    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        """Returns the configuration as a plain dictionary, which is not to be changed.

        Raises:
            ConfigError: An override names nothing or is not well-formed.
        """
        key = json.dumps([self._compose.name, *self._compose.folders, *overrides, *self._state_of_files()])
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

    def _state_of_files(self) -> list[str]:
        """Returns what changes with the files that are a task, of which more are known with every table."""
        files = tuple(study.path for study in STUDIES.values())
        if files not in self._files:
            self._files[files] = state_of(files)
        return [self._files[files]] if files else []

    def keep(self) -> None:
        """Writes what was composed anew, where the cache can be written."""
        if self._fresh and self.lasting:
            self._kept.write(self._known)
        self._fresh = False

    @functools.cached_property
    def lasting(self) -> bool:
        """Whether what was composed comes out the same until a file changes."""
        texts = (Path(path).read_text(encoding="utf-8", errors="replace") for path in self._yaml)
        return not any(map(CALLED.search, (*self._known, *texts)))
