"""Hydra's view of our sweeps: a sweeper that plans cells and a launcher that runs them one process each."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher
from hydra.plugins.search_path_plugin import SearchPathPlugin
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

STORE = ConfigStore.instance()
STORE.store(
    group="hydra/sweeper",
    name="cells",
    node={"_target_": f"{__name__}.CellsSweeper", "table": "", "params": {}},
    provider="exp",
)
STORE.store(
    group="hydra/sweeper",
    name="optuna",
    node={
        "_target_": f"{__name__}.OptunaSweeper",
        "defaults": [{"sampler": "tpe"}, {"pruner": "none"}],
        "n_trials": 20,
        "n_jobs": 0,
        "direction": None,
        "study_name": None,
        "storage": None,
        "max_failure_rate": 0.0,
        "params": {},
    },
    provider="exp",
)
CHOICES: dict[str, dict[str, dict[str, Any]]] = {
    "sampler": {
        "tpe": {"seed": None, "n_startup_trials": 10, "multivariate": False},
        "random": {"seed": None},
        "cmaes": {"seed": None, "n_startup_trials": 1, "sigma0": None},
        "gp": {"seed": None, "n_startup_trials": 10},
    },
    "pruner": {
        "none": {},
        "median": {"n_startup_trials": 5, "n_warmup_steps": 0, "interval_steps": 1},
        "percentile": {"percentile": 25.0, "n_startup_trials": 5, "n_warmup_steps": 0},
        "halving": {"min_resource": 1, "reduction_factor": 4, "min_early_stopping_rate": 0},
        "hyperband": {"min_resource": 1, "max_resource": "auto", "reduction_factor": 3},
    },
}
"""Optuna's samplers and pruners, with those of their arguments that are often given."""
for kind, choices in CHOICES.items():
    for name, options in choices.items():
        STORE.store(group=f"hydra/sweeper/{kind}", name=name, node={"name": name, **options}, provider="exp")
STORE.store(group="hydra/launcher", name="cells", node={"_target_": f"{__name__}.CellsLauncher"}, provider="exp")


class PluginFolders(SearchPathPlugin):
    """Lets Hydra find the recipes and choices in the ``conf/`` of plug-ins."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Appends the folders, behind the configuration that ships with exp."""
        from exp.options.plugins import conf_folders

        for folder in conf_folders():
            search_path.append(provider="exp-plugins", path=f"file://{folder}")


class CellsSweeper(Sweeper):
    """Expands the grid to cells, skips those that are done, and hands the rest to whatever launcher is chosen.

    Args:
        table: Tables to run in place of a grid, joined by a comma.
        params: Option to values, ``{att: "ca,se"}``, as Hydra's own sweeper takes them from a configuration.
    """

    def __init__(self, table: str = "", params: Mapping[str, Any] | None = None) -> None:
        self.table = table
        self.params = dict(params or {})

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what the sweep needs; the launcher is asked for only if it is not ours."""
        from exp.options.places import refuse_moved

        refuse_moved(config.hydra)
        self.hydra_context: HydraContext | None = hydra_context
        self.task_function = task_function
        self.config: DictConfig | None = config

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the sweep, or the cells of ``table=NAME``, and returns its exit code."""
        from exp.sweep.hydra import sweep_arguments

        assert self.hydra_context is not None and self.config is not None
        if self.table:
            from exp.tables.run import run_tables

            return run_tables(self.table, arguments, self.hydra_context, self.task_function, self.config)
        from exp.tables.sweeping import SweepScreen

        return sweep_arguments(
            arguments, self.params, self.hydra_context, self.task_function, self.config, SweepScreen()
        )


class OptunaSweeper(CellsSweeper):
    """Searches for the best options with Optuna; its trials are cells.

    Args:
        options: See ``exp.sweep.search.SearchOptions``.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.options = options

    def sweep(self, arguments: list[str]) -> Any:
        """Runs the search and returns its exit code."""
        from exp.sweep.hydra import search_arguments
        from exp.sweep.search import SearchOptions

        assert self.hydra_context is not None and self.config is not None
        options = SearchOptions(**self.options)
        return search_arguments(arguments, options, self.hydra_context, self.task_function, self.config)


class CellsLauncher(Launcher):
    """One forked process a cell, used through ``CellsSweeper`` or by any other sweeper."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Keeps what composing needs."""
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Any:
        """Runs one cell for each list of overrides."""
        from exp.sweep.hydra import launch_cells

        assert self.hydra_context is not None and self.config is not None
        return launch_cells(job_overrides, self.hydra_context, self.task_function, self.config)
