"""One W&B run a cell: its id is the cell's key, so that a resumed cell resumes its run. Offline unless a key is set."""

import logging
import netrc
import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlparse
from urllib.request import getproxies

import wandb
from torch import nn

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


def reachable(seconds: float = 5.0) -> bool:
    """Whether W&B's server answers at all; asked first, since W&B itself waits half a minute for one that does not."""
    url = urlparse(os.environ.get("WANDB_BASE_URL") or wandb.Settings().base_url)
    if getproxies() or not url.hostname:
        return True  # a proxy may reach what this machine does not
    try:
        socket.create_connection((url.hostname, url.port or (80 if url.scheme == "http" else 443)), seconds).close()
    except OSError:
        return False
    return True


def start(folder: Path, *, project: str, entity: str | None, system: bool = False, **run: Any) -> Any:
    """Starts a run in this process; offline where a key is set but W&B cannot be reached or refuses it.

    Args:
        folder: Where the run's files go, into ``wandb/``.
        project: Project.
        entity: User or team, None for the account's own.
        system: Whether W&B gathers the machine's load, git state and console output.
        run: More for ``wandb.init``.
    """
    settings = wandb.Settings(
        silent=True,
        console="wrap" if system else "off",
        init_timeout=30,
        x_disable_stats=not system,
        disable_git=not system,
    )
    where: dict[str, Any] = {"dir": str(folder), "project": project, "entity": entity, "settings": settings}
    wanted = mode()
    if wanted == "online":
        try:
            if reachable():
                return wandb.init(mode="online", **where, **run)
            why = "no connection"
        # Of W&B's own kinds for a server that does not answer, of others for a key it does not like.
        except Exception as error:
            why = str(error).partition("\n")[0]
        wandb.teardown()
        logging.getLogger("exp").warning(
            "W&B cannot be reached (%s); this run goes on offline, wandb sync sends it later", why
        )
        wanted = "offline"
    os.environ.setdefault("WANDB_ERROR_REPORTING", "false")  # else it asks its server at the end, offline as well
    return wandb.init(mode=wanted, **where, **run)  # type: ignore[arg-type]


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
        self._cell = cell
        resolved, options = cell.resolved, cell.resolved.config.logger
        drop_unsynced(cell.path, resolved.key)
        self._lines = 0
        self._run = start(
            cell.path,
            project=options.project,
            entity=options.entity,
            id=resolved.key,
            resume="allow",
            name=resolved.slug[:128],
            group=options.group or group,
            job_type=options.job_type or resolved.task,
            notes=command,
            tags=list(dict.fromkeys([resolved.config.recipe, resolved.config.data.name, *options.tags])),
            system=options.system,
            config=resolved.config.plain() | {"key": resolved.key, "slug": resolved.slug, "folder": str(cell.path)},
        )
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")
        if options.save_code:
            self._run.log_code(".", include_fn=lambda path: path.endswith((".py", ".yaml")), exclude_fn=_apart)

    def write(self, index: int, values: dict[str, float], epoch: int, step: int) -> None:
        """Logs a line of metrics.jsonl; those that a resumed run has on the server already are left out there."""
        self._lines = index + 1
        if index >= self._run.starting_step:
            self._run.log({**values, "epoch": epoch, "step": step}, step=index)

    def watch(self, model: nn.Module) -> None:
        """Lets W&B follow gradients or weights, where that was asked for."""
        config = self._cell.resolved.config
        if config.logger.watch != "none":
            self._run.watch(model, log=config.logger.watch, log_freq=config.trainer.log_every)

    def close(self, state: str, result: dict[str, Any] | None, pictures: list[Path]) -> None:
        """Logs results and pictures and finishes with the cell's exit code."""
        if result is not None:
            self._run.summary.update({f"final/{name}": value for name, value in result["test"].items()})
            self._run.summary.update({name: result[name] for name in SUMMARY if name in result})
            shown: dict[str, Any] = {f"media/{path.stem}": wandb.Image(str(path)) for path in pictures}
            if result.get("confusion"):
                shown["confusion"] = confusion_chart(result["confusion"], result["class_names"])
            if shown:
                self._run.log(shown, step=max(self._lines, self._run.starting_step))
            if self._cell.resolved.config.logger.log_model:
                self._log_model()
        end(self._run, EXIT_CODES[state])

    def _log_model(self) -> None:
        artifact = wandb.Artifact(f"model-{self._cell.resolved.key}", type="model")
        artifact.add_file(str(self._cell.path / "best.ckpt"))
        self._run.log_artifact(artifact, aliases=["best"])


def confusion_chart(counts: Sequence[Sequence[int]], class_names: Sequence[str]) -> Any:
    """Returns W&B's own chart of a confusion matrix.

    Args:
        counts: (C, C) by label (row) and prediction (column).
        class_names: C names.
    """
    rows: list[Any] = [
        [label, prediction, counts[i][j]]
        for i, label in enumerate(class_names)
        for j, prediction in enumerate(class_names)
    ]
    table = wandb.Table(columns=["Actual", "Predicted", "nPredictions"], data=rows)
    fields = {name: name for name in ("Actual", "Predicted", "nPredictions")}
    return wandb.plot_table("wandb/confusion_matrix/v1", table, fields, {"title": "confusion"}, split_table=True)


def _apart(path: str, root: str) -> bool:
    """Returns whether a file is no code of the user's: of an environment, or a cell's."""
    inside = Path(path).relative_to(root).parts
    return any(part.startswith(".") or part in ("multirun", "wandb", "node_modules") for part in inside)


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
    data: list[Any] = [[_entry(record[key]) for key in plain[0]] for record in plain]
    run.log({"table": wandb.Table(columns=columns, data=data)})
    end(run, 0)


def _entry(value: Any) -> Any:
    """Returns a table's entry: a number, a word, or None for no number."""
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
