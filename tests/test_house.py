"""The rules of the house: imports run downwards, a task is a folder, names mean one thing, files stay small."""

import ast
import functools
import re
from collections import defaultdict
from pathlib import Path

import pytest

from exp.cells.provenance import decides
from exp.options.catalog import GROUPS, TASKS

SRC = Path(__file__).parents[1] / "src"
FILES = sorted(SRC.glob("exp/**/*.py"))

FLOORS = (
    {"options"},
    {"cells"},
    {"data", "metrics", "layers"},
    {"blocks"},
    {"tasks"},
    {"callbacks"},
    {"run"},
    {"sweep"},
    {"tables"},
    {"door"},
    {"watch"},
    {"commands"},
    {"__main__"},
)
"""Packages of exp from the ground up; a module imports from its own floor and those below."""

LAZY = {
    ("exp", "exp.door"),
    ("exp.commands.check", "exp.run.check"),
    ("exp.commands.cost", "exp.tasks.build"),
    ("exp.commands.dashboard", "exp.callbacks.wandb"),
    ("exp.commands.log", "exp.callbacks.mirror"),
    ("exp.commands.configuration", "exp.sweep.hydra"),
    ("exp.commands.flags", "exp.commands.meant"),
    ("exp.commands.front", "exp.commands.meant"),
    ("exp.commands.front", "exp.options.compose"),
    ("exp.commands.front", "exp.options.resolve"),
    ("exp.commands.table", "exp.commands.table_list"),
    ("exp.commands.table", "exp.commands.table_new"),
    ("exp.commands.table", "exp.commands.table_one"),
    ("exp.tables.reading", "exp.options.catalog"),
    ("exp.commands.table_one", "exp.tables.render"),
    ("exp.commands.table_one", "exp.tables.report"),
    ("exp.commands.table_one", "exp.tables.terminal"),
    ("exp.commands.train", "exp.options.compose"),
    ("exp.options.compose", "exp.options.store"),
    ("exp.commands.train", "exp.run.exit_code"),
    ("exp.commands.train", "exp.run.foreground"),
    ("exp.__main__", "exp.commands.completion"),
    ("exp.__main__", "exp.commands.configuration"),
    ("exp.__main__", "exp.commands.front"),
    ("exp.__main__", "exp.commands.train"),
    ("exp.__main__", "exp.options.compose"),
    ("exp.callbacks.mirror", "exp.callbacks.lightning_loggers"),
    ("exp.callbacks.mirror", "exp.callbacks.wandb"),
    ("exp.door", "exp.tasks.build"),
    ("exp.door", "exp.tasks.checkpoint"),
    ("exp.door", "exp.tasks.loaded"),
    ("exp.run.follow", "exp.callbacks.checkpoint"),
    ("exp.run.follow", "exp.cells.cell"),
    ("exp.run.follow", "exp.run.train"),
    ("exp.run.job", "exp.callbacks.checkpoint"),
    ("exp.run.job", "exp.callbacks.mirror"),
    ("exp.run.job", "exp.run.ddp"),
    ("exp.run.job", "exp.run.train"),
    ("exp.run.foreground", "exp.tasks.transfer"),
    ("exp.run.job", "exp.tasks.base"),
    ("exp.run.srun", "exp.callbacks.checkpoint"),
    ("exp.run.srun", "exp.run.ddp"),
    ("exp.run.srun", "exp.run.train"),
    ("exp.sweep.server", "exp.cells.cell"),
    ("exp.sweep.server", "exp.options.catalog"),
    ("exp.sweep.server", "exp.options.resolve"),
    ("exp.sweep.server", "exp.run.calibrate"),
    ("exp.sweep.server", "exp.run.job"),
    ("exp.sweep.server", "exp.tasks.build"),
    ("exp.sweep.server", "exp.tasks.transfer"),
    ("exp.tables.listing", "exp.tables.survey"),
    ("exp.tables.run", "exp.callbacks.wandb"),
    ("exp.tables.run", "exp.tables.render"),
    ("exp.tasks.attention.data.digits", "exp.data.partition"),
    ("exp.tasks.attention.module", "exp.metrics.pictures"),
    ("exp.tasks.fer.module", "exp.metrics.pictures"),
}
"""Imports inside functions: each keeps torch, wandb, matplotlib, numpy or Hydra out of a process that may not need it."""


@functools.cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def name_of(path: Path) -> str:
    words = path.relative_to(SRC).with_suffix("").parts
    return ".".join(words[:-1] if words[-1] == "__init__" else words)


MODULES = {name_of(path): path for path in FILES}


@functools.cache
def imports(path: Path, *, lazy: bool) -> set[str]:
    """Modules of exp that a file imports, at its top or inside functions; those for types alone are left out."""
    names: set[str] = set()
    waiting: list[tuple[ast.AST, bool]] = [(parsed(path), False)]
    while waiting:
        node, inside = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += [(child, inside) for child in node.orelse]
            continue
        inside |= isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        waiting += [(child, inside) for child in ast.iter_child_nodes(node)]
        if inside != lazy:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("exp"):
            names |= {
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in MODULES else str(node.module)
                for alias in node.names
            }
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names if alias.name.startswith("exp.")}
    return names


def floor(module: str) -> int:
    package = module.split(".")[1] if "." in module else "options"  # exp/__init__.py itself
    return next(number for number, packages in enumerate(FLOORS) if package in packages)


def upward(modules: dict[str, Path]) -> list[str]:
    return [
        f"{module} -> {other}"
        for module, path in modules.items()
        for other in imports(path, lazy=False) | imports(path, lazy=True)
        if floor(other) > floor(module) and module != "exp"  # the face, which gives what is asked of it
    ]


def task_of(module: str) -> str | None:
    words = module.split(".")
    return words[2] if words[:2] == ["exp", "tasks"] and len(words) > 2 and words[2] in TASKS else None


def test_imports_run_downwards_only() -> None:
    assert upward(MODULES) == []


def test_an_upward_import_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "cell.py"
    path.write_text("from exp.tables.plan import Planner\n")
    assert upward({"exp.cells.cell": path}) == ["exp.cells.cell -> exp.tables.plan"]


def test_there_is_no_circle() -> None:
    graph = {module: imports(path, lazy=False) for module, path in MODULES.items()}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join([*trail[trail.index(module) :], module])
        if module not in done:
            for other in graph.get(module, ()):
                visit(other, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_imports_inside_functions_are_those_that_keep_torch_out() -> None:
    lazy = {(module, other) for module, path in MODULES.items() for other in imports(path, lazy=True)}
    ours = {(module, other) for module, other in lazy if task_of(module) is None or task_of(module) != task_of(other)}
    assert ours == LAZY


def test_tasks_know_nothing_of_one_another_and_nobody_knows_a_task() -> None:
    crossing = [
        f"{module} -> {other}"
        for module, path in MODULES.items()
        for other in imports(path, lazy=False) | imports(path, lazy=True)
        if task_of(other) is not None and task_of(other) != task_of(module)
    ]
    assert crossing == []


@pytest.mark.parametrize("task", TASKS)
def test_what_belongs_to_a_task_is_named_in_its_folder_alone(task: str) -> None:
    kind = TASKS[task].kind
    alone = sum(other.kind == kind for other in TASKS.values()) == 1
    names = {task} | (
        {n for g in ("model", "data") for n, s in GROUPS[g].items() if s.kind == kind} if alone else set()
    )
    names -= {"attention"}  # the field's word for a layer as well
    naming = [
        f"{module}: {node.value}"
        for module, path in MODULES.items()
        if task_of(module) != task
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert naming == []


def test_what_computes_decides_results() -> None:
    """Code whose changes make results stale: all but what is said, planned, compared, kept and drawn."""
    computing = re.compile(
        r"exp\.(blocks|data|layers|metrics|tasks)\..*"
        r"|exp\.callbacks\.(adopted|checkpoint|early_stopping|ema|gates|gradient_norms|own|recorder)"
        r"|exp\.run\.(ddp|devices|job|layout|rank|train)|exp\.options\.(catalog|config|fields|parts|sections|study)"
    )
    apart = {module for module in MODULES if computing.fullmatch(module) and not decides(module)}
    assert apart == {
        "exp.blocks.custom_source", "exp.metrics.pictures", "exp.tasks.gait.pictures", "exp.tasks.lane.pictures",
    }  # fmt: skip


def test_no_two_classes_share_a_name() -> None:
    places = defaultdict(list)
    for module, path in MODULES.items():
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(module)
    assert {name: where for name, where in places.items() if len(where) > 1} == {}


def test_files_and_functions_stay_small() -> None:
    assert [f"{path}: {n}" for path in FILES if (n := len(path.read_text().splitlines())) > 400] == []
    long = [
        f"{module}.{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for module, path in MODULES.items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None and node.end_lineno - node.lineno >= 60
    ]
    assert long == []
