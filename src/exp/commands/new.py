"""``exp new task|model|block|data|metric|table NAME``: a working start of something of your own, in this folder.

Writes a package of that name with a test, and names it under [tool.exp] in pyproject.toml, by which exp finds it; a
table is one YAML file. Nothing that is there is overwritten.

``exp new task NAME --from-lightning PACKAGE.MODULE:CLASS [--data PACKAGE.MODULE:CLASS] --monitor METRIC`` makes a task
of an unchanged LightningModule: the arguments of its constructor become options.
"""

import argparse
import importlib
import inspect
import re
import sys
from pathlib import Path
from string import Template
from typing import Any

from exp.cells.files import writing
from exp.options.catalog import GROUPS, METRICS, TASKS
from exp.options.errors import ConfigError
from exp.options.plugins import append_to_path
from exp.tables.reading import names as table_names

TEMPLATES = Path(__file__).parents[1] / "templates"
KNOWN = {"task": TASKS, "model": GROUPS["model"], "block": GROUPS["att"], "data": GROUPS["data"], "metric": METRICS}
"""What there is already of each kind of package."""

NEXT = {
    "task": "exp task={name}",
    "model": "exp model={name}",
    "block": "exp att={name}",
    "data": "exp data={name} model=resnet18 width=8",
    "metric": "exp metrics={name}",
    "table": "exp table {name} --run",
}
"""What to type after each."""

BETTER = {
    "min": {"loss", "error", "err", "mse", "rmse", "mae", "nll", "perplexity", "ppl", "distance", "fid", "wer", "cer"},
    "max": {
        "acc", "accuracy", "f", "iou", "miou", "auc", "auroc", "ap", "map", "precision", "recall", "dice", "jaccard",
        "top", "rank", "bleu", "rouge", "psnr", "ssim", "score", "kappa", "hits",
    },
}  # fmt: skip
"""Words in the names of metrics that say whether less or more is better; digits are left out (f1, top5)."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("kind", choices=[*KNOWN, "table"])
    parser.add_argument("name", metavar="NAME", help="small letters, digits and _")
    parser.add_argument("--from-lightning", metavar="PACKAGE.MODULE:CLASS", help="the LightningModule of a task")
    parser.add_argument("--data", metavar="PACKAGE.MODULE:CLASS", help="its LightningDataModule")
    parser.add_argument(
        "--monitor", metavar="METRIC", default="val_loss", help="what it logs that chooses the best epoch"
    )
    parser.add_argument("--mode", choices=("min", "max"), help="which is better, where METRIC does not say so")


def run(options: argparse.Namespace) -> int:
    """Writes the files and says what to type next.

    Raises:
        ConfigError: The name is taken or none, a file is in the way, or nothing can be written here.
    """
    kind, name = options.kind, options.name
    if not name.isidentifier() or name != name.lower():
        raise ConfigError(f"{name}: a name has small letters, digits and _, and begins with a letter")
    taken = table_names() if kind == "table" else KNOWN[kind]
    if name in taken:
        raise ConfigError(f"{kind} {name}: there is one of that name; take another")
    if options.from_lightning and kind != "task":
        raise ConfigError("--from-lightning: makes a task; exp new task NAME --from-lightning PACKAGE.MODULE:CLASS")
    if kind == "table":
        files = {Path(f"{name}.yaml"): _filled("table", "table.yaml", {"name": name})}
    elif options.from_lightning:
        files = _lightning(options)
    else:
        files = _package(kind, {"name": name, "Name": _camel(name)})
    there = [path for path in files if path.exists()]
    if there:
        raise ConfigError(f"{there[0]}: is there already; nothing was written")
    with writing("it is made in the working directory; go to a folder of yours"):
        if kind != "table":
            print(_name_in_project(name))
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
            print(path)
    print(f"Next: {NEXT[kind].format(name=name)}")
    return 0


def _package(kind: str, values: dict[str, str]) -> dict[Path, str]:
    """Returns the files of a package by path."""
    name, conf = Path(values["name"]), Path(values["name"]) / "conf"
    places = {
        "test.py": Path("tests") / f"test_{name}.py",
        "quick.yaml": conf / "recipe" / name / "quick.yaml",
        "table.yaml": conf / "table" / f"{name}_blocks.yaml",
    }
    sources = sorted(path.name.removesuffix(".txt") for path in (TEMPLATES / kind).glob("*.txt"))
    return {places.get(source, name / source): _filled(kind, source, values) for source in sources}


def _filled(kind: str, source: str, values: dict[str, str]) -> str:
    return Template((TEMPLATES / kind / f"{source}.txt").read_text(encoding="utf-8")).substitute(values)


def _camel(name: str) -> str:
    return "".join(word.title() for word in name.split("_"))


def _lightning(options: argparse.Namespace) -> dict[Path, str]:
    """Returns the files of a task made of a LightningModule, whose constructor is read for the options."""
    targets = [target for target in (options.from_lightning, options.data) if target]
    declared: dict[str, str] = {}
    for target in targets:
        declared |= _options(target)
    lines = [f"    {line}" for line in declared.values()]
    values = {
        "name": options.name,
        "Name": _camel(options.name),
        "Module": options.from_lightning.rpartition(":")[2],
        "module": options.from_lightning,
        "datamodule": f'    datamodule = "{options.data}"\n' if options.data else "",
        "monitor": options.monitor,
        "mode": options.mode or _direction(options.monitor),
        "summary": _summary(options.from_lightning),
        "options": "".join(f"\n{line}" for line in lines),
    }
    files = _package("lightning", values)
    return {path: text.rstrip() + "\n" for path, text in files.items()}


def _direction(metric: str) -> str:
    """Returns whether less or more of a metric is better, by the words of its name.

    Raises:
        ConfigError: They do not say.
    """
    words = set(re.split(r"[^a-z]+", metric.lower()))
    for mode, known in BETTER.items():
        if words & known:
            return mode
    raise ConfigError(f"--monitor {metric}: is less or more of it better? --mode min or --mode max says so")


def _class(target: str) -> Any:
    module, _, name = target.partition(":")
    append_to_path(Path.cwd())
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{target}: cannot be imported: {error}") from error


def _summary(target: str) -> str:
    words = inspect.cleandoc(vars(_class(target)).get("__doc__") or "").split("\n")[0].strip()
    return words or f"{target.rpartition(':')[2]}, an unchanged LightningModule."


def _options(target: str) -> dict[str, str]:
    """Returns a line for each argument of a constructor that a command line can give.

    Raises:
        ConfigError: An argument without a default cannot be given.
    """
    lines = {}
    for parameter in list(inspect.signature(_class(target).__init__).parameters.values())[1:]:
        default = parameter.default
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if default is parameter.empty:
            raise ConfigError(f"{target}: its argument {parameter.name} has no default; give it one")
        if isinstance(default, (bool, int, float, str)):
            lines[parameter.name] = f"{parameter.name}: {type(default).__name__} = {default!r}".replace("'", '"')
        else:
            print(f"{target}: {parameter.name}={default!r} is no option, it keeps its default", file=sys.stderr)
    return lines


def _name_in_project(name: str) -> Path:
    """Adds the package to ``plugins`` under [tool.exp] in pyproject.toml, which is made where there is none.

    Returns:
        The file.

    Raises:
        ConfigError: The file has a [tool.exp] of another form, which is left to its owner.
    """
    path = Path("pyproject.toml")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    line = next((line for line in text.splitlines() if line.replace(" ", "").startswith("plugins=[")), None)
    if "[tool.exp]" not in text:
        text = f"{text}\n" if text and not text.endswith("\n\n") else text
        fresh = f'{text}[tool.exp]\nplugins = ["{name}"]\n'
    elif line is not None and line.rstrip().endswith("]"):
        inside = line[line.index("[") + 1 : line.rindex("]")].strip()
        fresh = text.replace(line, f'plugins = [{inside}{", " if inside else ""}"{name}"]')
    else:
        raise ConfigError(f'pyproject.toml: add "{name}" to plugins under [tool.exp] first; nothing was written')
    path.write_text(fresh, encoding="utf-8")
    return path
