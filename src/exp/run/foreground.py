"""The function that Hydra runs: one cell in this process, its progress on the screen."""

import signal
import sys
from contextlib import nullcontext, suppress
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import OmegaConf

from exp.cells.cell import ANEW, EXIT_CODES, Cell
from exp.cells.files import refuse_unwritable
from exp.cells.own_code import refuse_other_code
from exp.cells.terminal import pasted, typed_command
from exp.options.compose import in_our_words
from exp.options.config import Config
from exp.options.errors import ConfigError, DataError, shown
from exp.options.resolve import resolve
from exp.options.weights import OWN, TIMM
from exp.run import exit_code, srun
from exp.run.console import Console
from exp.run.devices import refuse_missing_devices
from exp.run.job import run_cell
from exp.run.verbose import be_verbose


def under_hydra(config: Any) -> Any:
    """Runs the cell that Hydra composed and leaves the exit code in `exp.run.exit_code`.

    Returns:
        For a sweeper that looks for the best: the monitored metric of the best epoch; the cell's state if it has none.
    """
    hydra = HydraConfig.get()
    be_verbose(OmegaConf.to_container(OmegaConf.create([hydra.verbose]))[0])  # type: ignore[index]
    try:
        with in_our_words(hydra.overrides.task):
            plain = OmegaConf.to_container(config, resolve=True)
        assert isinstance(plain, dict)
        resolved = resolve({str(key): value for key, value in plain.items()}, hydra.overrides.task)
        if resolved.config.sweep.dry and hydra.mode == RunMode.RUN:
            raise ConfigError("sweep.dry=true: is for sweeps and tables; add --multirun")
        step = srun.step()
        if step is not None:
            step.check(resolved.config.trainer.devices)
        else:
            refuse_missing_devices(resolved.config.trainer)
        fingerprint = resolved.config.data.reader().check()
    except (ConfigError, DataError) as error:
        print(f"exp: {shown(error)}", file=sys.stderr)
        exit_code.code = 2
        return "invalid"
    cell = Cell.on(resolved, fingerprint)
    if step is not None and step.rank.rank:
        exit_code.code = srun.follow(step, cell.resolved, cell.path)
        return "followed"
    return _run(cell, fingerprint, step)


def _run(cell: Cell, fingerprint: str, step: srun.Step | None) -> Any:
    resolved = cell.resolved
    launched = HydraConfig.get().mode == RunMode.MULTIRUN
    words = [word for word in resolved.overrides if not word.startswith("origin.code=")]
    command = pasted("exp", *words) if launched else typed_command()
    console = Console(cell, command)
    state = cell.status()["state"]
    changed = cell.stale(fingerprint) if state == "done" else []
    anew = ("stale" if changed else state) in ANEW[resolved.config.sweep.force]
    if state != "done" or anew:
        try:
            refuse_unwritable(cell.root, cell.path)
            refuse_other_code(resolved.config)
            _decide_weights(resolved.config)
        except (ConfigError, DataError) as error:
            print(f"exp: {shown(error)}", file=sys.stderr)
            exit_code.code = 2
            if launched and state != "running":
                _leave(cell, shown(error))  # whoever has queued the cell does not see this process
            return "invalid"
    console.begin(anew, changed)
    with srun.Tasks(step) if step is not None else nullcontext() as tasks:
        state = run_cell(resolved, command=command, anew=anew, report=console.progress, tasks=tasks)
    console.end(state)
    exit_code.code = EXIT_CODES[state]
    if state == "waiting":
        _requeue()
    result = cell.result()
    return result["best"]["value"] if result and result["best"] else state


def _leave(cell: Cell, error: str) -> None:
    """Leaves in a cell why it did not start, where its folder can be written to."""
    with suppress(OSError):
        cell.path.mkdir(parents=True, exist_ok=True)
        (cell.path / "error.txt").write_text(f"{error}\n", encoding="utf-8")
        cell.write_status("failed", error=error)


def _decide_weights(config: Config) -> None:
    """Refuses weights that do not fit, before the cell has a folder; a cell with its own weights loads no torch here.

    Raises:
        ConfigError: They do not fit.
        DataError: The data set, by whose classes the network is built, is missing.
    """
    if config.ckpt or config.model.init not in (OWN, TIMM):
        from exp.tasks.transfer import decide

        decide(config)


def _requeue() -> None:
    """Asks the queue that has warned this job by SIGUSR2 to start it again, now that the cell is saved."""
    handler = signal.getsignal(signal.SIGUSR2)
    if callable(handler):
        handler(signal.SIGUSR2, None)
