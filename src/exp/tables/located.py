"""YAML with the line of every key, so that a complaint about a file says where in it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from exp.options.errors import ConfigError

Place = tuple[str, ...]
"""Keys from the outermost in; an entry of a list goes by its number, from 0."""


@dataclass(frozen=True)
class Located:
    """A YAML file and where in it everything is.

    Attributes:
        path: The file, as the user would name it.
        content: What it holds.
        lines: Line of each key and list entry, counted from 1.
    """

    path: str
    content: Any
    lines: Mapping[Place, int] = field(default_factory=dict, repr=False)

    def at(self, *place: object) -> str:
        """Returns ``FILE:LINE`` of a place, or of the nearest place around it that the file has."""
        keys = tuple(map(str, place))
        known = (self.lines[keys[:length]] for length in range(len(keys), 0, -1) if keys[:length] in self.lines)
        line = next(known, None)
        return self.path if line is None else f"{self.path}:{line}"


def read_located(path: Path) -> Located:
    """Reads a YAML file.

    Raises:
        ConfigError: It cannot be read, is not YAML, or has a key twice.
    """
    import yaml

    shown = str(path)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(_text(path))
    lines: dict[Place, int] = {}
    try:
        node = loader.get_single_node()
        if node is None:
            return Located(shown, None)
        _note_lines(node, (), lines, shown)
        return Located(shown, loader.construct_document(node), lines)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = shown if mark is None else f"{shown}:{mark.line + 1}"
        problem = getattr(error, "problem", None) or error
        raise ConfigError(f"{where}: not YAML: {' '.join(str(problem).split())}") from error
    finally:
        loader.dispose()


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _note_lines(node: Any, place: Place, lines: dict[Place, int], path: str) -> None:
    """Notes the line of everything below a node.

    Raises:
        ConfigError: A mapping has a key twice, of which YAML keeps the last one silently.
    """
    if node.id == "mapping":
        before: dict[str, int] = {}
        for key, value in node.value:
            if key.value == "<<":
                continue
            name, line = str(key.value), key.start_mark.line + 1
            inner = (*place, name)
            if name in before:
                inside = f"{'.'.join(place)}: " if place else ""
                raise ConfigError(f"{path}:{line}: {inside}{name} is there twice, first in line {before[name]}")
            before[name] = lines[inner] = line
            _note_lines(value, inner, lines, path)
    elif node.id == "sequence":
        for number, value in enumerate(node.value):
            inner = (*place, str(number))
            lines[inner] = value.start_mark.line + 1
            _note_lines(value, inner, lines, path)
