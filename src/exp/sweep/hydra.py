"""Between Hydra's plugins and our sweeps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from exp.cells.cell import EXIT_CODES
from exp.cells.terminal import typed_command
from exp.options.compose import Composition
from exp.options.errors import CellFailed, ConfigError
from exp.run import exit_code, srun
from exp.sweep.course import Course
from exp.sweep.elsewhere import land_in, run_elsewhere
from exp.sweep.front import sweep
from exp.sweep.plan import explicit_cells, plan
from exp.sweep.screen import Screen


@dataclass(frozen=True)
class HydraComposition(Composition):
    """Composes under Hydra's own application, from the configuration and folders that its command line gave."""

    context: HydraContext = field(kw_only=True)
    config: DictConfig = field(kw_only=True)

    def __call__(self, overrides: list[str]) -> dict[str, Any]:
        """Returns the configuration without Hydra's own node."""
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


def combinations(arguments: list[str], config: DictConfig) -> list[list[str]]:
    """Overrides of every cell: the product of what the command line lists, times the explicit cells of a file."""
    parsed = OverridesParser.create().parse_overrides(arguments)
    grid = [list(cell) for cell in BasicSweeper.split_arguments(parsed, None)[0]]
    path = config.sweep.cells
    return [[*cell, *given] for given in explicit_cells(path) for cell in grid] if path else grid


def sweep_arguments(
    arguments: list[str], context: HydraContext, task_function: TaskFunction, config: DictConfig, screen: Screen
) -> int:
    """Runs a sweep with our launcher or with another."""
    course = Course.of(config, typed_command())
    cells = combinations(arguments, config)
    exit_code.code = course.end(run_cells(cells, context, task_function, config, screen, course))
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
    if (
        config.sweep.dry
        or OmegaConf.select(config, "hydra.launcher._target_") == "hydra_plugins.exp_cells.CellsLauncher"
    ):
        return sweep(cells, compose, screen, invalid=invalid, command=typed_command(), course=course)
    return run_elsewhere(cells, compose, context, task_function, config, screen, course)


def launch_cells(job_overrides: Sequence[Sequence[str]], context: HydraContext, config: DictConfig) -> list[JobReturn]:
    """Runs cells for a sweeper that is not ours (Optuna's, say) and returns their results.

    Args:
        job_overrides: Overrides of each cell; those that describe the same cell share its result.
        context: Hydra's.
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
    _same_direction(config, {one.resolved.config.task.mode for one in planned})
    code = sweep(cells, compose, Screen(), invalid="error", command=typed_command(), course=Course())
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
    """Optuna minimizes unless told otherwise, and most of our tasks monitor something that should grow."""
    direction = OmegaConf.select(config, "hydra.sweeper.direction")
    asked = str(getattr(direction, "name", direction))
    if asked in ("minimize", "maximize") and modes != {asked[:3]}:
        wanted = " and ".join(f"{mode}imize" for mode in sorted(modes))
        raise ConfigError(f"hydra.sweeper.direction={asked}: the metric that this task monitors calls for {wanted}")
