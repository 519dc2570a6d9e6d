"""``exp dashboard TABLE``: a W&B workspace for a table, or its specification where there is no server."""

import argparse
import importlib
import importlib.util
import json
from pathlib import Path
from typing import Any

from exp.cells.files import writing
from exp.cells.terminal import pasted, shown
from exp.commands.front import add_composition, add_overrides, composition
from exp.commands.table_one import shown_plan
from exp.tables import words
from exp.tables.choices import root_of
from exp.tables.plan import TablePlan
from exp.tables.reading import canonical


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    parser.add_argument("name", metavar="TABLE", help="the table")
    add_overrides(parser, "the table's overrides, logger.project=, logger.entity=")
    add_composition(parser)


def run(options: argparse.Namespace) -> int:
    """Builds the dashboard and says how to fill it.

    Raises:
        ConfigError: There is no such table, or an override is wrong.
    """
    overrides, compose = composition(options, options.overrides)
    plan, _ = shown_plan(canonical(options.name), overrides, root_of(overrides), compose)
    print("\n".join(dashboard(plan, _option(overrides, "project", "exp"), _option(overrides, "entity", ""))))
    return 0


def _option(overrides: list[str], name: str, default: str) -> str:
    given = [word.partition("=")[2] for word in overrides if word.startswith(f"logger.{name}=")]
    return given[-1] if given else default


def dashboard(plan: TablePlan, project: str, entity: str) -> list[str]:
    """Saves the workspace on the server, or its specification on disk.

    Returns:
        What to tell the user.
    """
    spec = specification(plan, project, entity)
    lines = []
    why = _no_server()
    if why:
        path = plan.root / f"dashboard-{plan.table.slug}.json"
        with writing("it lies beside the cells; give another folder with cells.dir="):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(spec, indent=2) + "\n")
        lines.append(f"{why}; the workspace's specification is in {shown(path)}")
    else:
        lines.append(f"workspace {workspace(spec).save().url}")
    waiting = offline_runs(plan)
    if waiting:
        runs = pasted(*(shown(path) for path in waiting[:3]))
        more = f"   ({len(waiting)} of them: multirun/*/*/wandb/offline-run-*)" if len(waiting) > 3 else ""
        lines.append(f"To send offline runs: wandb sync {runs}{more}")
    else:
        lines.append(
            f"No run of W&B's yet: {pasted('exp', 'table', plan.table.name, '--run', *plan.overrides, 'logger=wandb')}"
        )
    return lines


def _no_server() -> str:
    """Why nothing can be saved on a server, empty where it can."""
    from exp.callbacks.wandb import mode

    if importlib.util.find_spec("wandb_workspaces") is None:
        return "wandb-workspaces is not installed (pip install wandb-workspaces)"
    return "" if mode() == "online" else "no W&B key is set (wandb login)"


def specification(plan: TablePlan, project: str, entity: str) -> dict[str, Any]:
    """The workspace as a plain dictionary: the table's runs, grouped by what its rows vary."""
    table = plan.table
    groups = _varied_paths(plan)
    curves = [
        {"kind": "line", "title": f"{column.name} against step", "x": "step", "y": [f"val/{name}"], "groupby": groups}
        for column in table.columns.values()
        for where, _, name in [column.metric.partition("/")]
        if where in ("test", "best")
    ]
    losses = [
        {"kind": "line", "title": f"loss, {split}", "x": "step", "y": [f"{split}/loss"], "groupby": groups}
        for split in ("train", "val")
    ]
    finals = [
        {"kind": "bar", "title": column.name, "metrics": [f"final/{name}"], "groupby": groups}
        for column in table.columns.values()
        for where, _, name in [column.metric.partition("/")]
        if where == "test"
    ]
    first = next((panel["metrics"][0] for panel in finals), "final/loss")
    costs = [
        {
            "kind": "scatter",
            "title": f"{first.partition('/')[2]} against {words.COST_NAMES[cost]}",
            "x": cost,
            "y": first,
        }
        for cost in words.COST_NAMES
    ]
    return {
        "entity": entity,
        "project": project,
        "name": f"{table.name}: {table.title}",
        "group": table.name,
        "runs": sorted(one.cell.resolved.key for one in plan.cells),
        "sections": [
            {"name": "Against step", "panels": [*curves, *losses]},
            {"name": "Final", "panels": finals},
            {"name": "Cost", "panels": costs},
            {"name": "Pictures", "panels": [{"kind": "media", "title": "confusion", "keys": ["media/confusion"]}]},
            {"name": "Published", "panels": [{"kind": "markdown", "text": _published(plan)}]},
        ],
    }


def _varied_paths(plan: TablePlan) -> list[str]:
    """Returns the places in a run's config of the options that the rows vary."""
    configs = [one.resolved.config.plain() for one in plan.cells]
    paths = []
    for key in plan.table.varied:
        part, _, name = key.partition(".")
        for config in configs:
            owners = [section for section, values in config.items() if isinstance(values, dict) and key in values]
            if name:
                paths.append(key)
            elif isinstance(config.get(part), dict):
                paths.append(f"{part}.name")
            elif owners:
                paths.append(f"{owners[0]}.{key}")
    return list(dict.fromkeys(paths))


def _published(plan: TablePlan) -> str:
    lines = [
        f"### {plan.table.title}",
        "",
        "Published, not reproduced:",
        "",
        "| row | column | value | source |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {one.row} | {one.column} | {one.text} | {plan.table.sources[one.source].file} |"
        for one in plan.table.published
    ]
    return "\n".join(lines)


def offline_runs(plan: TablePlan) -> list[Path]:
    """Offline runs of the table's cells that were not sent yet."""
    runs = [path for one in plan.cells for path in sorted((one.cell.path / "wandb").glob("offline-run-*"))]
    return [path for path in runs if not list(path.glob("*.synced"))]


def workspace(spec: dict[str, Any]) -> Any:
    """The specification as a workspace of wandb-workspaces."""
    reports = importlib.import_module("wandb_workspaces.reports.v2")
    workspaces = importlib.import_module("wandb_workspaces.workspaces")

    def panel(one: dict[str, Any]) -> Any:
        grouped = {"groupby": reports.Config(one["groupby"][0])} if one.get("groupby") else {}
        if one["kind"] == "line":
            return reports.LinePlot(title=one["title"], x=one["x"], y=one["y"], groupby_rangefunc="stddev", **grouped)
        if one["kind"] == "bar":
            return reports.BarPlot(title=one["title"], metrics=one["metrics"], **grouped)
        if one["kind"] == "scatter":
            axes = [reports.SummaryMetric(one[axis]) for axis in ("x", "y")]
            return reports.ScatterPlot(title=one["title"], x=axes[0], y=axes[1])
        if one["kind"] == "media":
            return reports.MediaBrowser(title=one["title"], media_keys=one["keys"])
        return reports.MarkdownPanel(markdown=one["text"])

    sections = [
        workspaces.Section(name=section["name"], panels=[panel(one) for one in section["panels"]], is_open=True)
        for section in spec["sections"]
    ]
    return workspaces.Workspace(
        entity=spec["entity"],
        project=spec["project"],
        name=spec["name"],
        sections=sections,
        runset_settings=workspaces.RunsetSettings(filters=f"Group == '{spec['group']}'"),
    )
