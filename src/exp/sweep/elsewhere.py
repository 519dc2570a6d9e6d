"""Cells run by a launcher that is not ours: SLURM, Ray, joblib or whatever Hydra has a plugin for.

The launcher's jobs end in ``exp.run.foreground.under_hydra``, so a cell is skipped, locked and resumed as under our own
launcher; what became of it is read from its directory, never from what the launcher says.
"""

import functools
import importlib.util
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from exp.cells.files import refuse_unwritable
from exp.cells.own_code import digest
from exp.cells.terminal import typed_command
from exp.options.errors import ConfigError, brief
from exp.sweep.course import Course
from exp.sweep.front import Ending, check_models, report
from exp.sweep.lines import new_console
from exp.sweep.plan import Compose, Plan, Planned, plan
from exp.sweep.pool import Outcome, Pool
from exp.sweep.record import SweepRecord
from exp.sweep.screen import Screen

OURS_ALONE = ("jobs", "retry", "on_error", "budget", "timeout")
"""Options of ``sweep`` that another launcher has its own words for."""

RAY_REMOTE = {"num_cpus": 1, "num_gpus": 0, "max_calls": 1}
"""What a cell gets of a Ray cluster where the command line does not say it."""

LOOK_SECONDS = 1.0
"""How often cells are looked at that other processes run."""

EXTRAS = {"hydra_submitit_launcher": "slurm", "hydra_ray_launcher": "ray"}
"""The extra of this package that installs a launcher, by the launcher's package."""


def run_elsewhere(
    cells: list[list[str]],
    compose: Compose,
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    screen: Screen,
    course: Course,
) -> int:
    """Hands the missing cells to the launcher that is configured, waits for those that run already, and reports.

    Args:
        cells: Overrides of each cell.
        compose: Composes overrides to a plain configuration.
        context: Hydra's.
        task_function: What the launcher's jobs run.
        config: What Hydra composed for the sweep.
        screen: How the cells are shown.
        course: Who hears of the end.

    Returns:
        Exit code, as of ``exp.sweep.front.sweep``.

    Raises:
        ConfigError: A combination is invalid, or the launcher cannot run here.
        DataError: A data set is missing or damaged.
    """
    started = time.monotonic()
    launcher, invalid, command = config.hydra.launcher, config.sweep.invalid or "error", typed_command()
    _refuse(config)
    _complete_ray(launcher)
    planned = plan(cells, compose, invalid=invalid, here=False)
    problem, interrupted = "", False
    if planned.todo:
        refuse_unwritable(planned.todo[0].cell.root, planned.todo[0].cell.path.parent)
        for one in planned.todo:
            _enough_gpus(one, launcher)
        pool = Pool(command)
        try:
            check_models(planned, pool, invalid)
        finally:
            pool.close()
    handed: list[Planned] = []
    if any(one.todo or one.state == "running" for one in planned.cells):
        root = planned.cells[0].cell.root
        land_in(config, root)
        with SweepRecord(root, planned.cells, screen.names(planned.cells), command, None):
            launch = functools.partial(_launch, context=context, task_function=task_function, config=config)
            handed, problem, interrupted = _hand_over(planned, launch)
    statuses = {one.resolved.key: one.cell.status() for one in handed}
    outcomes = {key: Outcome(status["state"], status.get("error", "")) for key, status in statuses.items()}
    ending = Ending(command, time.monotonic() - started, interrupted)
    code = report(planned, outcomes, ending, screen, course)
    if problem:
        new_console().print(f"[red]hydra/launcher={choice(config)}[/red]: {problem}")
    return code or int(bool(problem))


def choice(config: DictConfig) -> str:
    """Returns what was typed for ``hydra/launcher``."""
    return str(OmegaConf.select(config, "hydra.runtime.choices")["hydra/launcher"])


def land_in(config: DictConfig, root: Path) -> None:
    """Lets whatever Hydra or a plugin writes beside the cells land in their folder."""
    root.mkdir(parents=True, exist_ok=True)
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.dir = str(root)


def _complete_ray(launcher: DictConfig) -> None:
    """One Ray worker a cell, never used again, with a core of its own unless more was asked for."""
    if OmegaConf.select(launcher, "ray.remote") is not None:
        with read_write(launcher), open_dict(launcher):
            launcher.ray.remote = {**RAY_REMOTE, **launcher.ray.remote}


def _refuse(config: DictConfig) -> None:
    name, target = choice(config), str(config.hydra.launcher._target_)
    for option in OURS_ALONE:
        if config.sweep[option] is not None:
            raise ConfigError(
                f"sweep.{option}={config.sweep[option]}: is for hydra/launcher=cells; hydra/launcher={name} has options"
                " of its own under hydra.launcher"
            )
    package = ".".join(target.split(".")[:2])
    if importlib.util.find_spec(package) is None:
        extra = EXTRAS.get(package.rpartition(".")[2])
        how = f"pip install 'exp-tables[{extra}]'" if extra else f"the package of {target}"
        raise ConfigError(f"hydra/launcher={name}: is not installed: {how}")
    if target.endswith(".SlurmLauncher") and not (shutil.which("sbatch") and shutil.which("srun")):
        raise ConfigError(
            f"hydra/launcher={name}: there is no SLURM here, sbatch and srun are not on the PATH; start this on a login"
            " node, or try it with hydra/launcher=slurm_local"
        )


def _enough_gpus(one: Planned, launcher: DictConfig) -> None:
    """A cell that asks for GPUs by name is not sent where it would see too few."""
    options = one.resolved.config.trainer
    for option, count in (
        ("gpus_per_node", OmegaConf.select(launcher, "gpus_per_node")),
        ("ray.remote.num_gpus", OmegaConf.select(launcher, "ray.remote.num_gpus")),
    ):
        seen = count * (OmegaConf.select(launcher, "nodes") or 1) if count is not None else None
        if seen is not None and options.accelerator == "gpu" and seen < options.devices:
            raise ConfigError(
                f"trainer.devices={options.devices}: hydra.launcher.{option}={count} gives a cell too few GPUs"
            )


def _settled(one: Planned, launcher: DictConfig) -> list[str]:
    """What this process knows and a job cannot: where cells lie, what runs anew, the code, and the threads it has."""
    state = "done" if one.state in ("done", "stale") else "failed"
    settled = [f"cells.dir={_quoted(str(one.cell.root))}", f"sweep.force={state if one.anew else 'none'}"]
    if code := digest(one.resolved.config):
        settled.append(f"origin.code={code}")
    cpus = OmegaConf.select(launcher, "cpus_per_task") or OmegaConf.select(launcher, "ray.remote.num_cpus")
    options = one.resolved.config.trainer
    if cpus and not options.threads:
        tasks = OmegaConf.select(launcher, "tasks_per_node") or 1
        ranks = 1 if tasks > 1 else options.devices
        settled.append(f"trainer.threads={max(1, int(cpus) // ranks)}")
    return settled


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def _hand_over(planned: Plan, launch: Callable[[list[Planned]], tuple[str, bool]]) -> tuple[list[Planned], str, bool]:
    """Launches what is missing, waits for what runs already, and launches what that leaves unfinished.

    Returns:
        The cells that were launched, what the launcher complained of, and whether the user stopped it.
    """
    handed, problem, interrupted = planned.todo, "", False
    beside = [one for one in planned.cells if one.state == "running" and not one.todo]
    if handed:
        problem, interrupted = launch(handed)
    if interrupted or not _awaited(planned.cells):
        return handed, problem, True
    left = [one for one in beside if one.cell.status()["state"] == "waiting"]
    if left:
        problem, interrupted = launch(left)
    return [*handed, *left], problem, interrupted


def _awaited(cells: list[Planned]) -> bool:
    """Waits for cells that other processes run, such as jobs of a command that was ended; False if the user ends it."""
    told = False
    try:
        while cells := [one for one in cells if one.cell.status()["state"] == "running"]:
            if not told:
                what = f"{len(cells)} {'cell runs' if len(cells) == 1 else 'cells run'} in another process"
                print(f"{what} and will be waited for; Ctrl-C leaves them to it", flush=True)
            told = True
            time.sleep(LOOK_SECONDS)
    except KeyboardInterrupt:
        return False
    return True


def _launch(
    cells: list[Planned], context: HydraContext, task_function: TaskFunction, config: DictConfig
) -> tuple[str, bool]:
    """Runs cells as jobs; returns what the launcher complained of and whether the user stopped it."""
    jobs = [[*one.resolved.overrides, *_settled(one, config.hydra.launcher)] for one in cells]
    launch: Callable[..., Any] = (
        Plugins.instance()
        .instantiate_launcher(hydra_context=context, task_function=task_function, config=config)
        .launch
    )
    try:
        launch(jobs, initial_job_idx=0)
    except KeyboardInterrupt:
        return "", True
    # Another project's code, which raises whatever its cluster raises, and does so when the first job fails although
    # the others have run: the cells' directories are asked all the same.
    except Exception as error:
        return brief(error), False
    return "", False
