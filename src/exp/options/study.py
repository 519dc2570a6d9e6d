"""A task that is a single file, ``task=./study.py``: its functions' signatures are the options.

The file defines ``data(*, ...)``, ``class Model(nn.Module)``, ``loss(model, *arrays, ...)`` and
``scores(model, *arrays, ...)``, and names the metric of the best epoch, ``best = "top1"`` (highest) or
``lowest = "mse"``. Here it is read, never run: a run is planned, listed and refused from its syntax tree alone.
``exp.tasks.study_file`` runs it.
"""

import ast
import contextlib
import copy
import os
import types
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal

from exp.options.checks import at_least
from exp.options.errors import ConfigError, brief, nearest
from exp.options.fields import Options, checked, fields, option
from exp.options.parts import DataOptions, ModelOptions, Part, TaskOptions
from exp.options.plugins import append_to_path, watch
from exp.options.sections import Optim, Trainer

RESERVED = {
    "seed": "the run's own; call it split_seed",
    "name": "the choice's own",
    "att": "an attention block's place",
}
"""Names that are no option of a file's, with what they are."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "trainer": {"max_epochs": 20},
    "optim": {"name": "adamw", "lr": 1e-3, "schedule": "cosine"},
}
"""What a file's recipe sets where the file does not."""


class StudyTaskOptions(TaskOptions):
    """What every task that is a file has."""

    counted_on_meta = False
    measured_as = "arrays"


class StudyModelOptions(ModelOptions):
    """What every model in such a file has."""

    takes_att: ClassVar[bool] = False
    """Whether the constructor has ``att``, which builds an attention block from its channels, or is None."""


class StudyDataOptions(DataOptions):
    """What every data set in such a file has."""

    paths: ClassVar[tuple[str, ...]] = ()
    """Options that name files or folders; their content, not their name, decides what a result belongs to."""

    batch_size: int = option(32, at_least(1))
    """Samples of an optimizer step, over all devices."""


@dataclass(frozen=True)
class StudyFile:
    """What a file declares.

    Attributes:
        name: The task's name, the file's without its ending.
        path: The file.
        parts: Options classes of task, model and data.
        recipe: What its recipe sets, by section.
        arguments: Options of each function, by its name.
        texts: Texts in its code that may be a file's name.
    """

    name: str
    path: Path
    parts: tuple[type[Part], ...]
    recipe: dict[str, dict[str, Any]]
    arguments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    texts: tuple[str, ...] = ()


STUDY_MODULE = "_exp_study_"
"""What a file's module is called: this and the task's name, so that the file hides no module of its name."""

STUDIES: dict[str, StudyFile] = {}
"""Files that are a task each, by the task's name, as far as they have been read."""


def read(path: Path) -> StudyFile:
    """Reads what a file declares, without running it.

    Raises:
        ConfigError: There is no such file, it lacks a function, or a signature cannot become options.
    """
    path = path.expanduser().absolute()
    known = STUDIES.get(path.stem)
    if known is not None and known.path != path:
        raise ConfigError(f"task={path}: a task of that name is {known.path}; rename one of the files")
    if not path.is_file():
        raise ConfigError(f"task={path}: no such file")
    if not path.stem.isidentifier():
        raise ConfigError(f"task={path}: the file's name is the task's; use letters, digits and _ alone")
    try:
        tree = ast.parse(path.read_bytes(), filename=str(path))
    except (SyntaxError, ValueError) as error:
        raise ConfigError(brief(error) if isinstance(error, SyntaxError) else f"{path}: not Python: {error}") from error
    study = _Reader(path, tree).study()
    STUDIES[study.name] = study
    append_to_path(path.parent)
    watch(path.parent)
    return study


def as_typed(override: str) -> str:
    """Returns an override as it is typed: the task of a file is called by the file."""
    key, _, name = override.partition("=")
    if key != "task" or name not in STUDIES:
        return override
    path = os.path.relpath(STUDIES[name].path)
    return f"task={path if path.startswith('..') else f'./{path}'}"


class _Reader:
    """Turns a file's syntax tree into options classes, and complains with file and line."""

    def __init__(self, path: Path, tree: ast.Module) -> None:
        self.path = path
        self.functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        self.classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        self.values = {
            target.id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        defaults = {node for one in ast.walk(tree) if isinstance(one, ast.arguments) for node in ast.walk(one)}
        values = [one.value for one in ast.walk(tree) if isinstance(one, ast.Constant) and one not in defaults]
        self.texts = tuple(dict.fromkeys(one for one in values if isinstance(one, str) and _may_name_file(one)))
        self.summary = (ast.get_docstring(tree) or f"The task of {path.name}.").split("\n")[0]

    def study(self) -> StudyFile:
        for name in ("data", "loss"):
            if name not in self.functions:
                self._fail(None, f"defines no function {name}{nearest(name, self.functions)}")
        if "Model" not in self.classes:
            self._fail(None, f"defines no class Model{nearest('Model', self.classes)}")
        name = self.path.stem
        loss = self._signature(self.functions["loss"], "loss", keywords_alone=True)
        scores = self.functions.get("scores")
        scoring = self._signature(scores, "scores", keywords_alone=True) if scores else {}
        monitor, mode = self._best(scores is not None)
        task = self._part(
            StudyTaskOptions, "exp.tasks.study_file:StudyTask", self.summary, loss | scoring,
            monitor=monitor, mode=mode, lower=self._lower()
        )  # fmt: skip
        init = next(
            (n for n in self.classes["Model"].body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None
        )
        building = self._signature(init, "Model") if init else {}
        words = (ast.get_docstring(self.classes["Model"]) or f"The model of {self.path.name}.").split("\n")[0]
        takes_att = building.pop("att", None) is not None
        model = self._part(StudyModelOptions, f"{name}:Model", words, building, takes_att=takes_att)
        reading = self._signature(self.functions["data"], "data")
        words = (ast.get_docstring(self.functions["data"]) or f"The data of {self.path.name}.").split("\n")[0]
        paths = tuple(name for name, one in reading.items() if one.path)
        data = self._part(StudyDataOptions, "exp.data.arrays:Arrays", words, reading, paths=paths)
        arguments = {"loss": tuple(loss), "scores": tuple(scoring), "Model": tuple(building), "data": tuple(reading)}
        parts = (task, model, data)
        return StudyFile(name, self.path, parts, self._recipe(parts), arguments, self.texts)

    def _signature(
        self, function: ast.FunctionDef, owner: str, *, keywords_alone: bool = False
    ) -> dict[str, "_Argument"]:
        """Returns the arguments of a function that are options."""
        spec = function.args
        positional = [*spec.posonlyargs, *spec.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(spec.defaults)) + list(spec.defaults)
        pairs = list(zip(positional, defaults, strict=True))[1 if owner == "Model" else 0 :]
        pairs = ([] if keywords_alone else pairs) + list(zip(spec.kwonlyargs, spec.kw_defaults, strict=True))
        if spec.kwarg:
            self._fail(function, f"{owner} takes **{spec.kwarg.arg}; name its options, so that exp can check them")
        words = _words(ast.get_docstring(function) or "")
        if owner == "Model":
            words = _words(ast.get_docstring(self.classes["Model"]) or "") | words
        return {
            argument.arg: self._argument(argument, default, owner, words.get(argument.arg, ""))
            for argument, default in pairs
        }

    def _argument(self, argument: ast.arg, default: ast.expr | None, owner: str, words: str) -> "_Argument":
        name, where = argument.arg, f"{owner}'s {argument.arg}"
        if name == "att" and owner == "Model":
            return _Argument(Any, None, words)
        if name in RESERVED:
            self._fail(argument, f"{where}: {name} is {RESERVED[name]}")
        if default is None:
            return self._fail(argument, f"{where}: give it a default value, which a run without the option uses")
        value: Any = _path_literal(default)
        path = value is not None
        if not path:
            try:
                value = ast.literal_eval(default)
            except ValueError:
                self._fail(argument, f"{where}: its default has to be written out, such as 64 or 'relu'")
        kind = type(value) if argument.annotation is None else self._type(argument.annotation, where)
        path = path or kind is Path
        kind = str if kind is Path else kind
        if value is None and type(None) not in typing.get_args(kind):
            kind = kind | None
        return _Argument(kind, list(value) if isinstance(value, tuple) else value, words, path)

    def _type(self, node: ast.expr, where: str) -> Any:
        plain = {"int": int, "float": float, "str": str, "bool": bool, "Path": Path, "list": list[Any], "Any": Any}
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return self._type(ast.parse(node.value, mode="eval").body, where)
        if isinstance(node, ast.Constant) and node.value is None:
            return type(None)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return self._type(node.left, where) | self._type(node.right, where)
        name = _last_name(node.value if isinstance(node, ast.Subscript) else node)
        if isinstance(node, ast.Subscript):
            inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
            if name == "Literal":
                return Literal[tuple(ast.literal_eval(part) for part in inner)]
            if name in ("list", "List", "tuple", "Sequence"):
                return list[self._type(inner[0], where)]  # type: ignore[misc]
            if name == "Optional":
                return self._type(inner[0], where) | None
        if name in plain:
            return plain[name]
        return self._fail(
            node, f"{where}: {ast.unparse(node)} is no type that a command line can give; take int, float, str, bool,"
            " Path, Literal[...], list[...] or one of them | None"
        )  # fmt: skip

    def _part(self, base: type[Part], builds: str, words: str, given: dict[str, "_Argument"], **more: Any) -> Any:
        """Returns an options class made of the arguments of a function."""
        name = self.path.stem
        namespace: dict[str, Any] = {
            "__doc__": words,
            "__module__": __name__,
            "__annotations__": {},
            "name": name,
            "builds": builds,
            "kind": f"the arrays of {self.path.name}",
            "words": {argument: one.words for argument, one in given.items()},
            **more,
        }
        own = "batch_size" if issubclass(base, DataOptions) else ""
        for argument, one in given.items():
            if argument in fields(base) and argument != own:
                self._fail(None, f"{argument}: every {base.__name__} has an option of that name; call yours otherwise")
            if argument in base.taken():
                self._fail(None, f"{argument}: is a word of exp's own; call yours otherwise, such as my_{argument}")
            namespace[argument] = option(one.default, identity=not one.path)
            namespace["__annotations__"][argument] = one.kind
        schema = types.new_class(
            f"{name.title()}{base.__name__.removeprefix('StudyFile')}", (base,), {}, lambda body: body.update(namespace)
        )
        for argument, one in given.items():
            try:
                checked(schema, argument, one.default, argument)
            except ConfigError as error:
                self._fail(None, f"the default of {error}")
        return schema

    def _best(self, scored: bool) -> tuple[str, str]:
        named = {key: self.values[key] for key in ("best", "lowest") if key in self.values}
        if len(named) == 2:
            self._fail(named["lowest"], "names both best and lowest; one metric chooses the best epoch")
        for key, node in named.items():
            value = node.value if isinstance(node, ast.Constant) else None
            if not isinstance(value, str):
                self._fail(node, f'{key} has to be the name of a metric, such as {key} = "top1"')
            if not scored and value != "loss":
                self._fail(node, f"{key} = {value!r}, but without a function scores there is only loss")
            return str(value), "max" if key == "best" else "min"
        return "loss", "min"

    def _lower(self) -> tuple[str, ...]:
        node = self.values.get("lower_is_better")
        named: Any = None
        with contextlib.suppress(ValueError):
            named = ast.literal_eval(node) if node is not None else ()
        if not isinstance(named, (list, tuple)) or not all(isinstance(name, str) for name in named):
            self._fail(node, 'lower_is_better has to be a list of metrics, such as lower_is_better = ["nll", "mae"]')
        return tuple(named)

    def _recipe(self, parts: tuple[type[Part], ...]) -> dict[str, dict[str, Any]]:
        """Returns the recipe's numbers: those of ``defaults`` in the file, by the section that has the option."""
        recipe: dict[str, dict[str, Any]] = copy.deepcopy(DEFAULTS)
        node = self.values.get("defaults")
        try:
            given = ast.literal_eval(node) if node is not None else {}
        except ValueError:
            self._fail(node, 'defaults has to be written out, such as defaults = {"lr": 0.01, "max_epochs": 30}')
        sections: dict[str, type[Options]] = {"optim": Optim, "trainer": Trainer}
        for name, value in given.items():
            homes = [section for section, schema in sections.items() if name in fields(schema)]
            if not homes:
                own = any(name in fields(part) for part in parts)
                known = [option for schema in sections.values() for option in fields(schema)]
                how = "; set it in the signature" if own else nearest(name, known)
                self._fail(node, f"defaults: {name} is no option of optim or trainer{how}")
            recipe[homes[0]][name] = checked(sections[homes[0]], name, value, f"{self.path}: defaults: {name}")
        return recipe

    def _fail(self, node: Any, problem: str) -> Any:
        line = getattr(node, "lineno", None)
        raise ConfigError(f"{self.path}{f':{line}' if line else ''}: {problem}")


@dataclass(frozen=True)
class _Argument:
    """An argument that is an option: its type, default, words, and whether it names a file or folder."""

    kind: Any
    default: Any
    words: str
    path: bool = False


def _may_name_file(value: str) -> bool:
    return "." in value and "\n" not in value and len(value) < 256


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _path_literal(node: ast.expr) -> str | None:
    """Returns the text of ``Path("text")``, None for anything else."""
    if isinstance(node, ast.Call) and _last_name(node.func) == "Path" and len(node.args) == 1:
        value = ast.literal_eval(node.args[0])
        return value if isinstance(value, str) else None
    return None


def _words(docstring: str) -> dict[str, str]:
    """Returns what a docstring's ``Args:`` say of each argument, on one line each."""
    words: dict[str, str] = {}
    section, name = "", ""
    for line in docstring.splitlines():
        if line.strip().endswith(":") and line.strip()[:-1].isidentifier() and not line.startswith(" "):
            section = line.strip()[:-1]
        elif section == "Args" and line.startswith(" ") and ": " in line and len(line) - len(line.lstrip()) <= 4:
            name, _, text = line.strip().partition(": ")
            words[name] = text
        elif section == "Args" and name and line.strip():
            words[name] = f"{words[name]} {line.strip()}"
    return words
