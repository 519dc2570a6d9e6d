"""What Hydra's options ask for around each job, where our launcher runs it: environment, messages, callbacks."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.core.utils import JobReturn, JobStatus, env_override
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from exp.options.hydra_callback import RefuseMoved
from exp.run.verbose import VARIABLE
from exp.sweep.plan import Planned


class Jobs:
    """The cells of a sweep as Hydra's jobs.

    Args:
        context: Hydra's, which has the callbacks.
        task_function: What other launchers run.
        config: What Hydra composed for the sweep.
    """

    def __init__(self, context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self._context = context
        self._task_function = task_function
        self._config = config
        self._running: dict[str, tuple[Planned, DictConfig]] = {}

    @contextmanager
    def environment(self) -> Iterator[None]:
        """Sets ``hydra.job.env_set`` and ``hydra.verbose`` for the processes that are started inside."""
        wanted = OmegaConf.to_container(self._config.hydra.job.env_set, resolve=True)
        assert isinstance(wanted, dict)
        verbose = OmegaConf.to_container(OmegaConf.create([self._config.hydra.verbose]))
        assert isinstance(verbose, list)
        told = {VARIABLE: json.dumps(verbose[0])} if verbose[0] else {}
        with env_override({str(key): str(value) for key, value in wanted.items()} | told):
            yield

    def update(self, running: dict[str, Planned]) -> None:
        """Calls ``on_job_start`` for cells that have started to run and ``on_job_end`` for those that have ended.

        The callbacks run in the process of the sweep, not in the cell's.

        Args:
            running: The cells that run now, by key.
        """
        if all(isinstance(callback, RefuseMoved) for callback in self._context.callbacks.callbacks):
            return
        for key in [key for key in self._running if key not in running]:
            planned, config = self._running.pop(key)
            status = planned.cell.status()
            ended = JobReturn(overrides=planned.overrides, cfg=config, hydra_cfg=config, task_name="exp")
            done = status["state"] == "done"
            ended.status = JobStatus.COMPLETED if done else JobStatus.FAILED
            ended.return_value = status["state"] if done else RuntimeError(status.get("error") or status["state"])
            self._context.callbacks.on_job_end(config=config, job_return=ended)
        for key, planned in running.items():
            if key not in self._running:
                config = self._context.config_loader.load_sweep_config(self._config, planned.overrides)
                self._running[key] = planned, config
                self._context.callbacks.on_job_start(config=config, task_function=self._task_function)
