"""The file of a block that a user names on the command line, ``att=custom att.target=package.module:Class``.

The file is looked up without being run, and torch is not imported, so that runs can be planned from it.
"""

import ast
import sys
from pathlib import Path

from exp.options.errors import ConfigError, brief, nearest
from exp.options.plugins import watch


def custom_source(target: str | None) -> Path:
    """Returns the file in which a block is written; its code and that of its package count for results.

    Args:
        target: ``package.module:Class``, looked for on Python's path and in the working directory.

    Raises:
        ConfigError: The target is not of that form, or there is no such file, or no such name in it.
    """
    module, colon, name = (target or "").partition(":")
    words = [*module.split("."), name]
    if not colon or not all(word.isidentifier() for word in words):
        raise ConfigError(f"att.target={target}: write att.target=package.module:Class, as on the command line")
    path = _locate(module)
    if path is None:
        raise ConfigError(
            f"att.target={target}: no {module.replace('.', '/')}.py in the working directory or on PYTHONPATH"
        )
    try:
        names = _names(ast.parse(path.read_bytes(), filename=str(path)))
    except SyntaxError as error:
        raise ConfigError(f"att.target={target}: {brief(error)}") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"att.target={target}: {path} cannot be read ({error})") from error
    if name not in names:
        raise ConfigError(f"att.target={target}: {path} defines no {name}{nearest(name, names)}")
    inside = path.absolute()
    for _ in module.split(".")[1:]:
        inside = inside.parent
    watch(inside)
    return path


def _locate(module: str) -> Path | None:
    for folder in [*sys.path, ""]:
        stem = Path(folder).joinpath(*module.split("."))
        for path in (stem.with_suffix(".py"), stem / "__init__.py"):
            if path.is_file():
                return path
    return None


def _names(tree: ast.Module) -> list[str]:
    """Returns the names that a file defines at its top level."""
    names = []
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            names.append(node.name)
        elif isinstance(node, ast.Assign):
            names += [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names += [alias.asname or alias.name for alias in node.names]
    return names
