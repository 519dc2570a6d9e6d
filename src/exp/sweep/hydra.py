"""Between Hydra's plugins and our sweeps."""

from collections.abc import Sequence
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from exp import outcome
from exp.sweep.front import Show, print_summary, report, sweep, typed_command
from exp.sweep.plan import Compose, explicit_cells, plan


def composer(context: HydraContext, config: DictConfig) -> Compose:
    """Composes a cell's overrides to a plain configuration without Hydra's own node."""

    def compose(overrides: list[str]) -> dict[str, Any]:
        cell = context.config_loader.load_sweep_config(config, overrides)
        OmegaConf.set_struct(cell, False)
        del cell["hydra"]
        plain = OmegaConf.to_container(cell, resolve=True)
        assert isinstance(plain, dict)
        return {str(key): value for key, value in plain.items()}

    return compose


def combinations(arguments: list[str], config: DictConfig) -> list[list[str]]:
    """Overrides of every cell: the product of what the command line lists, times the explicit cells of a file."""
    parsed = OverridesParser.create().parse_overrides(arguments)
    grid = [list(cell) for cell in BasicSweeper.split_arguments(parsed, None)[0]]
    path = config.sweep.cells
    return [[*cell, *given] for given in explicit_cells(path) for cell in grid] if path else grid


def sweep_arguments(
    arguments: list[str], context: HydraContext, task_function: TaskFunction, config: DictConfig
) -> int:
    """Runs a sweep with our launcher or with another."""
    outcome.code = run_cells(combinations(arguments, config), context, task_function, config)
    return outcome.code


def run_cells(
    cells: list[list[str]],
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    show: Show = print_summary,
) -> int:
    """Runs the cells of given overrides with our launcher or with another; returns the exit code."""
    invalid = config.sweep.invalid or "error"
    compose = composer(context, config)
    if OmegaConf.select(config, "hydra.launcher._target_") == "hydra_plugins.exp_cells.CellsLauncher":
        return sweep(cells, compose, invalid=invalid, command=typed_command(), show=show)
    return _elsewhere(cells, compose, invalid, context, task_function, config, show)


def _elsewhere(
    cells: list[list[str]],
    compose: Compose,
    invalid: str,
    context: HydraContext,
    task_function: TaskFunction,
    config: DictConfig,
    show: Show,
) -> int:
    """Another launcher runs the missing cells; what became of them is read from their directories."""
    import time

    from rich.console import Console

    started = time.monotonic()
    planned = plan(cells, compose, invalid=invalid)
    todo = [list(one.resolved.overrides) for one in planned.todo]
    if todo:
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task_function, config=config
        )
        launcher.launch(todo, initial_job_idx=0)
    ran = {one.resolved.key: one.cell.status() for one in planned.todo}
    outcomes = {key: _outcome(status) for key, status in ran.items()}
    console = Console(highlight=False)
    return report(planned, outcomes, False, typed_command(), time.monotonic() - started, console, show)


def _outcome(status: dict[str, Any]) -> Any:
    from exp.sweep.pool import Outcome

    return Outcome(status["state"], status.get("error", ""))


def launch_cells(job_overrides: Sequence[Sequence[str]], context: HydraContext, config: DictConfig) -> list[JobReturn]:
    """Runs cells for a sweeper that is not ours (Optuna's, say) and returns their results."""
    cells = [list(overrides) for overrides in job_overrides]
    compose = composer(context, config)
    outcome.code = sweep(cells, compose, invalid="error", command=typed_command())
    returns = []
    for overrides in cells:
        one = plan([overrides], compose).cells[0]
        done = JobReturn(overrides=overrides, task_name="exp")
        result = one.cell.result()
        done.status = JobStatus.COMPLETED if result else JobStatus.FAILED
        done.return_value = result["best"]["value"] if result and result["best"] else RuntimeError(one.state)
        returns.append(done)
    return returns
