"""Between Hydra's plugins and our sweeps."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from exp.cells.cell import EXIT_CODES
from exp.cells.terminal import typed_command
from exp.options.catalog import monitored
from exp.options.compose import Composition, in_our_words, register, with_files
from exp.options.errors import CellFailed, ConfigError
from exp.options.words import check, expanded, parsed, spelt
from exp.run import exit_code, srun
from exp.sweep.course import Course
from exp.sweep.elsewhere import land_in, run_elsewhere
from exp.sweep.front import sweep
from exp.sweep.jobs import Jobs
from exp.sweep.plan import Planned, explicit_cells, plan
from exp.sweep.screen import Screen
from exp.sweep.search import SearchOptions, Space, refuse_without_optuna, words_of
from exp.sweep.searching import run_search

OUR_LAUNCHER = "hydra_plugins.exp_cells.CellsLauncher"
"""The launcher that runs each cell in a process forked from the warm server."""


@dataclass(frozen=True)
class HydraComposition(Composition):
    """Composes under Hydra's own application, from the configuration and folders that its command line gave."""

    context: HydraContext = field(kw_only=True)
    config: DictConfig = field(kw_only=True)

    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        """Returns the configuration without Hydra's own node."""
        overrides = expanded(with_files(overrides))
        check(overrides)
        register()  # a file that is a task may have become known after Hydra's start
        with in_our_words(overrides, self.name, self.folders):
            cell = self.context.config_loader.load_sweep_config(self.config, overrides)
            OmegaConf.set_struct(cell, False)
            del cell["hydra"]
            plain = OmegaConf.to_container(cell, resolve=True)
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}


def composer(context: HydraContext, config: DictConfig) -> HydraComposition:
    """Returns how Hydra's application composes a cell's overrides."""
    sources = [source for source in config.hydra.runtime.config_sources if source.schema == "file"]
    folders = [source.path for source in sources if source.provider != "main"]
    return HydraComposition(config.hydra.job.config_name, tuple(folders), context=context, config=config)


def base_of(words: list[str]) -> list[str]:
    """Returns the overrides that are not lists, from which Hydra composes what a sweep has in common."""
    check(words, sweep=True)
    return [word for word in words if not parsed(word).is_sweep_override()]


def combinations(
    arguments: list[str], params: Mapping[str, Any], cells: str | None, loader: ConfigLoader
) -> list[list[str]]:
    """Returns overrides of every cell: the product of all lists, times the explicit cells of a file.

    Args:
        arguments: Overrides of the command line, which come before those of ``params``.
        params: ``hydra.sweeper.params``: option to values, as a configuration lists them.
        cells: ``sweep.cells``.
        loader: Hydra's, which knows the choices that ``glob(...)`` looks among.

    Raises:
        ConfigError: A list is malformed or empty.
    """
    listed = [f"{key}={value if isinstance(value, str) else spelt(value)}" for key, value in params.items()]
    words = expanded([*listed, *arguments])
    check(words, sweep=True)
    with in_our_words(words):
        overrides = OverridesParser.create(config_loader=loader).parse_overrides(words)
        for one in overrides:
            if one.is_interval_sweep():
                raise ConfigError(
                    f"{one.input_line}: an interval has no list of values; give some, or search it with"
                    " hydra/sweeper=optuna"
                )
        grid = [list(cell) for cell in BasicSweeper.split_arguments(overrides, None)[0]]
    if not grid:
        none = next(one for one in overrides if one.is_sweep_override() and not list(one.sweep_iterator()))
        raise ConfigError(f"{none.input_line}: no choice of {none.key_or_group} is like that")
    return [[*cell, *given] for given in explicit_cells(cells) for cell in grid] if cells else grid


def sweep_arguments(
    arguments: list[str],
    params: Mapping[str, Any],
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    screen: Screen,
) -> int:
    """Runs a sweep with our launcher or with another."""
    course = Course.of(config, typed_command())
    listed = combinations(arguments, params, config.sweep.cells, context.config_loader)
    exit_code.code = course.end(run_cells(listed, context, task_function, config, screen, course))
    return exit_code.code


def run_cells(
    cells: list[list[str]],
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    screen: Screen,
    course: Course,
) -> int:
    """Runs the cells of given overrides with our launcher or with another; returns the exit code.

    Raises:
        ConfigError: srun has started several tasks, each of which would run the sweep.
    """
    if srun.step() is not None:
        raise ConfigError("--multirun: srun started several tasks, each would run the sweep; start one")
    invalid = config.sweep.invalid or "error"
    compose = composer(context, config)
    ours = OmegaConf.select(config, "hydra.launcher._target_") == OUR_LAUNCHER
    if config.sweep.dry or ours:
        jobs = Jobs(context, task_function, config)
        with jobs.environment():
            code = sweep(
                cells, compose, screen, invalid=invalid, command=typed_command(), course=course, watch=jobs.update
            )
    else:
        code = run_elsewhere(cells, compose, context, task_function, config, screen, course)
    if not config.sweep.dry:
        _keep_composed(config)
    return code


def search_arguments(
    arguments: list[str],
    options: SearchOptions,
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
) -> int:
    """Searches for the best options with Optuna, with our launcher or another; returns the exit code.

    Raises:
        ConfigError: The search cannot begin, or a trial's options contradict each other.
        CellFailed: More trials failed than may.
    """
    refuse_without_optuna(options)
    if config.sweep.dry is not None:
        raise ConfigError(f"sweep.dry={config.sweep.dry}: what a search runs is not known beforehand; leave it out")
    words = words_of(arguments, options.params)
    check(words, sweep=True)
    with in_our_words(words):
        space = Space.of(words)
    course, jobs = Course.of(config, typed_command()), Jobs(context, task_function, config)
    compose = composer(context, config)
    ours = OmegaConf.select(config, "hydra.launcher._target_") == OUR_LAUNCHER

    def elsewhere(cells: list[Planned]) -> int:
        listed = [one.overrides for one in cells]
        return run_elsewhere(listed, compose, context, task_function, config, Screen(), Course())

    with jobs.environment():
        code = run_search(options, space, compose, course, jobs.update, None if ours else elsewhere)
    _keep_composed(config)
    exit_code.code = course.end(code)
    return exit_code.code


def _keep_composed(config: DictConfig) -> None:
    """Writes ``multirun.yaml`` beside the cells, where Hydra's users look for what a sweep was composed to."""
    root = Path(config.cells.dir or "multirun").expanduser()
    if root.is_dir():
        with contextlib.suppress(OSError):  # a full disk: the summary has said what became of the cells
            OmegaConf.save(config, root / "multirun.yaml")


def launch_cells(
    job_overrides: Sequence[Sequence[str]], context: HydraContext, task_function: TaskFunction, config: DictConfig
) -> list[JobReturn]:
    """Runs cells for a sweeper that is not ours (Nevergrad's, say) and returns their results.

    Args:
        job_overrides: Overrides of each cell; those that describe the same cell share its result.
        context: Hydra's.
        task_function: What another launcher would run.
        config: What Hydra composed for the sweep.

    Returns:
        For each cell the monitored metric of its best epoch; one that has none raises ``CellFailed`` when asked.

    Raises:
        ConfigError: A cell is invalid, or the sweeper would look for the worst.
        KeyboardInterrupt: The user or the system asked to stop.
    """
    _refuse_course(config)
    cells = [list(overrides) for overrides in job_overrides]
    compose = composer(context, config)
    land_in(config, plan(cells, compose).cells[0].cell.root)
    planned = [plan([overrides], compose).cells[0] for overrides in cells]
    _same_direction(config, {monitored(one.resolved.config.task)[1] for one in planned})
    jobs = Jobs(context, task_function, config)
    with jobs.environment():
        code = sweep(
            cells, compose, Screen(), invalid="error", command=typed_command(), course=Course(), watch=jobs.update
        )
    exit_code.code = max(exit_code.code, code)
    if code == EXIT_CODES["waiting"]:
        raise KeyboardInterrupt
    returns = []
    for one in planned:
        done = JobReturn(overrides=list(one.resolved.overrides), task_name="exp")
        result, status = one.cell.result(), one.cell.status()
        best = result["best"] if result else None
        done.status = JobStatus.COMPLETED if best else JobStatus.FAILED
        done.return_value = best["value"] if best else CellFailed(_why(one.cell.path.name, status, result is not None))
        returns.append(done)
    return returns


def _refuse_course(config: DictConfig) -> None:
    """Another sweeper asks for its cells batch by batch, and when it is over is not ours to know."""
    for name in ("budget", "notify", "dry"):
        if config.sweep[name] is not None:
            raise ConfigError(
                f"sweep.{name}={config.sweep[name]}: is for grids, lists of cells and tables; leave it out"
            )


def _why(name: str, status: dict[str, Any], done: bool) -> str:
    reason = "has no best epoch" if done else f"{status['state']}: {status.get('error', '')}"
    return f"{name} {reason}; hydra.sweeper.max_failure_rate=1 goes on without it"


def _same_direction(config: DictConfig, modes: set[str]) -> None:
    """Such sweepers minimize unless told otherwise, and most of our tasks monitor something that should grow."""
    direction = OmegaConf.select(config, "hydra.sweeper.direction")
    asked = str(getattr(direction, "name", direction))
    if asked in ("minimize", "maximize") and modes != {asked[:3]}:
        wanted = " and ".join(f"{mode}imize" for mode in sorted(modes))
        raise ConfigError(f"hydra.sweeper.direction={asked}: the metric that this task monitors calls for {wanted}")
