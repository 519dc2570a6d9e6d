"""One W&B run a cell: its id is the cell's key, so that a resumed cell resumes its run. Offline unless a key is set."""

import logging
import netrc
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import wandb

from exp.cells.cell import EXIT_CODES, Cell
from exp.options.sections import Logger

SUMMARY = ("params", "macs", "gflops_published", "train_seconds", "samples_seen", "epochs", "device", "seed", "recipe")


def mode() -> str:
    """``online`` where a key is set, else ``offline``; the environment's WANDB_MODE has the last word."""
    asked = os.environ.get("WANDB_MODE")
    return asked or ("online" if has_key() else "offline")


def has_key() -> bool:
    """Whether WANDB_API_KEY is set or a netrc file has an entry for W&B's host."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL") or wandb.Settings().base_url).hostname
    for path in filter(None, (os.environ.get("NETRC"), "~/.netrc", "~/_netrc")):
        try:
            if host and netrc.netrc(os.path.expanduser(path)).authenticators(host):
                return True
        except (OSError, netrc.NetrcParseError):
            continue
    return False


def start(folder: Path, *, project: str, entity: str | None, **run: Any) -> Any:
    """Starts a run in this process.

    Args:
        folder: Where the run's files go, into ``wandb/``.
        project: Project.
        entity: User or team, None for the account's own.
        run: More for ``wandb.init``.
    """
    settings = wandb.Settings(silent=True, console="off", init_timeout=30, x_disable_stats=True, disable_git=True)
    wanted = mode()
    try:
        return wandb.init(dir=str(folder), project=project, entity=entity, mode=wanted, settings=settings, **run)  # type: ignore[arg-type]
    except wandb.errors.Error as error:
        if wanted != "online":
            raise
        logging.getLogger("exp").warning("W&B cannot be reached (%s); this run goes on offline", error)
        return wandb.init(dir=str(folder), project=project, entity=entity, mode="offline", settings=settings, **run)


def end(run: Any, exit_code: int) -> None:
    """Finishes a run and waits until W&B's service has written it; a cell's process ends without its exit hooks."""
    run.finish(exit_code=exit_code)
    wandb.teardown(exit_code)


class WandbSink:
    """A cell's run.

    Args:
        cell: The cell.
        command: What the user typed.
        group: Table or sweep of the cell.
    """

    def __init__(self, cell: Cell, command: str, group: str | None) -> None:
        resolved, options = cell.resolved, cell.resolved.config.logger
        drop_unsynced(cell.path, resolved.key)
        self._lines = 0
        self._run = start(
            cell.path,
            project=options.project,
            entity=options.entity,
            id=resolved.key,
            resume="allow",
            name=resolved.slug,
            group=group,
            job_type=resolved.task,
            notes=command,
            tags=[resolved.config.recipe, resolved.config.data.name],
            config=resolved.config.plain() | {"key": resolved.key, "slug": resolved.slug, "folder": str(cell.path)},
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def write(self, index: int, values: dict[str, float], epoch: int, step: int) -> None:
        """Logs a line of metrics.jsonl; those that a resumed run has on the server already are left out there."""
        self._lines = index + 1
        if index >= self._run.starting_step:
            self._run.log({**values, "epoch": epoch, "step": step}, step=index)

    def close(self, state: str, result: dict[str, Any] | None, pictures: list[Path]) -> None:
        """Logs results and pictures and finishes with the cell's exit code."""
        if result is not None:
            self._run.summary.update({f"final/{name}": value for name, value in result["test"].items()})
            self._run.summary.update({name: result[name] for name in SUMMARY if name in result})
            if pictures:
                images = {f"media/{path.stem}": wandb.Image(str(path)) for path in pictures}
                self._run.log(images, step=max(self._lines, self._run.starting_step))
        end(self._run, EXIT_CODES[state])


def drop_unsynced(folder: Path, run_id: str) -> None:
    """Removes offline files of earlier attempts at a cell; the new attempt logs all of metrics.jsonl again."""
    for path in (folder / "wandb").glob(f"offline-run-*-{run_id}"):
        if not list(path.glob("*.synced")):
            shutil.rmtree(path)


def log_table(folder: Path, name: str, run_id: str, options: Logger, records: Sequence[dict[str, Any]]) -> None:
    """A run of its own that holds a table's rows.

    Args:
        folder: Where the run's files go.
        name: The table.
        run_id: The run's id.
        options: Of the logger.
        records: One a row and metric.
    """
    drop_unsynced(folder, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    run = start(
        folder,
        project=options.project,
        entity=options.entity,
        id=run_id,
        resume="allow",
        name=f"table {name}",
        group=name,
        job_type="table",
    )
    plain = [{key: value for key, value in record.items() if not isinstance(value, (dict, list))} for record in records]
    columns: list[str | int] = list(plain[0])
    data = [["" if record[key] is None else str(record[key]) for key in plain[0]] for record in plain]
    run.log({"table": wandb.Table(columns=columns, data=data)})
    end(run, 0)
