"""A search for the best options with Optuna: its trials are cells, run, skipped and gone on with like any.

Optuna proposes by ``ask`` and learns by ``tell``; nothing of it runs a cell. Trials are asked for in batches, and what
is proposed follows from the sampler's seed, the trial's number and the batches before, so that a search that was
stopped goes on to the same trials. A trial over several seeds is judged by their mean.
"""

import functools
import hashlib
import importlib.util
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep

from exp.cells.metrics_file import read_metrics
from exp.options.errors import CellFailed, ConfigError
from exp.options.words import expanded, parsed, spelt
from exp.sweep.plan import Compose, Planned, plan

SAMPLERS = {"tpe": "TPESampler", "random": "RandomSampler", "cmaes": "CmaEsSampler", "gp": "GPSampler"}
"""Optuna's samplers that may be started anew at every trial, by the name of ``hydra/sweeper/sampler=``."""

PRUNERS = {
    "none": "NopPruner",
    "median": "MedianPruner",
    "percentile": "PercentilePruner",
    "halving": "SuccessiveHalvingPruner",
    "hyperband": "HyperbandPruner",
}
"""Optuna's pruners by the name of ``hydra/sweeper/pruner=``."""

APART = ("hydra.", "hydra/", "sweep.", "cells.", "logger", "trainer.threads", "trainer.devices", "trainer.accelerator")
"""Beginnings of words that do not tell one study from another."""

Run = Callable[[list[Planned], Callable[[], list[str]]], bool]
"""Runs cells, asks now and then which are to be stopped, and returns whether the search is to end."""


@dataclass(frozen=True)
class SearchOptions:
    """What ``hydra.sweeper`` holds.

    Attributes:
        n_trials: Trials of the study in all, those of earlier commands included.
        n_jobs: Trials at a time; 0 takes as many as there are slots.
        direction: ``maximize`` or ``minimize``; what the task's monitored metric calls for where not given.
        study_name: What the study is called; a hash of the words that make it where not given.
        storage: Optuna's URL of a database; a journal beside the cells where not given.
        max_failure_rate: Share of the trials that may fail before the search ends.
        sampler: Its name and arguments.
        pruner: Its name and arguments.
        params: Options to search besides those of the command line.
    """

    n_trials: int = 20
    n_jobs: int = 0
    direction: str | None = None
    study_name: str | None = None
    storage: str | None = None
    max_failure_rate: float = 0.0
    sampler: Mapping[str, Any] = field(default_factory=lambda: {"name": "tpe"})
    pruner: Mapping[str, Any] = field(default_factory=lambda: {"name": "none"})
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Space:
    """What is searched.

    Attributes:
        fixed: Words that every trial has.
        searched: Words of the options that vary, by option.
        seeds: Words of the seeds over which a trial is averaged; one that is empty where none are listed.
    """

    fixed: tuple[str, ...]
    searched: dict[str, str]
    seeds: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, words: Sequence[str]) -> "Space":
        """Returns the space that a command line spans.

        Raises:
            ConfigError: Nothing varies.
        """
        fixed: list[str] = []
        searched: dict[str, str] = {}
        seeds: tuple[tuple[str, ...], ...] = ((),)
        for word in words:
            override = parsed(word)
            key = word.partition("=")[0]
            if not override.is_sweep_override():
                fixed.append(word)
            elif key == "seed":
                seeds = tuple((f"seed={value}",) for value in override.sweep_string_iterator())
            else:
                searched[key] = word
        if not searched:
            raise ConfigError(
                "hydra/sweeper=optuna: nothing is to be searched; give an option a choice(...), a list, a range(...) or"
                " an interval(...)"
            )
        return cls(tuple(fixed), searched, seeds)

    def distributions(self) -> dict[str, Any]:
        """Returns Optuna's distribution of each option."""
        return {key: _distribution(parsed(word)) for key, word in self.searched.items()}

    def cells(self, values: Mapping[str, Any]) -> list[list[str]]:
        """Returns the words of a trial's cells, one a seed."""
        chosen = [f"{key}={value if isinstance(value, str) else spelt(value)}" for key, value in values.items()]
        return [[*self.fixed, *chosen, *seed] for seed in self.seeds]

    def name(self, options: SearchOptions) -> str:
        """Returns a name that the same search has again, in whatever order its words come."""
        words = sorted(word for word in (*self.fixed, *self.searched.values()) if not word.startswith(APART))
        told = [words, self.seeds, dict(options.sampler), dict(options.pruner)]
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:10]


def _distribution(override: Override) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    value = override.value()
    if isinstance(value, IntervalSweep):
        kind = IntDistribution if isinstance(value.start, int) and isinstance(value.end, int) else FloatDistribution
        return kind(low=value.start, high=value.end, log="log" in value.tags)
    if isinstance(value, RangeSweep) and not value.shuffle:
        numbers = list(value.range())
        if numbers and all(isinstance(number, int) for number in numbers):
            return IntDistribution(low=min(numbers), high=max(numbers), step=abs(int(value.step)))
    return CategoricalDistribution(list(dict.fromkeys(override.sweep_string_iterator())))


def refuse_without_optuna(options: SearchOptions) -> None:
    """Refuses a search that cannot begin.

    Raises:
        ConfigError: Optuna is not installed, or it has no such sampler or pruner.
    """
    try:
        import optuna
    except ImportError as error:
        raise ConfigError("hydra/sweeper=optuna: needs Optuna: pip install 'exp-tables[optuna]'") from error
    for what, known, module in (("sampler", SAMPLERS, optuna.samplers), ("pruner", PRUNERS, optuna.pruners)):
        given = getattr(options, what)
        if given.get("name") not in known:
            raise ConfigError(f"hydra/sweeper/{what}={given.get('name')}: not one of {', '.join(known)}")
        if given["name"] == "cmaes" and importlib.util.find_spec("cmaes") is None:
            raise ConfigError("hydra/sweeper/sampler=cmaes: needs another package: pip install cmaes")
        try:
            _made(known, module, given)
        except (TypeError, ValueError, ImportError) as error:
            raise ConfigError(f"hydra/sweeper/{what}={given['name']}: {str(error).partition('. ')[0]}") from error


def _made(known: Mapping[str, str], module: Any, given: Mapping[str, Any], **more: Any) -> Any:
    arguments = {key: value for key, value in given.items() if key != "name" and value is not None} | more
    return getattr(module, known[given["name"]])(**arguments)


class Search:
    """A study and how far it is.

    Args:
        options: Of the sweeper.
        space: What is searched.
        compose: Composes overrides to a plain configuration.
        folder: Of the cells.

    Raises:
        ConfigError: The storage cannot be opened, or a study of that name searches other options.
    """

    def __init__(self, options: SearchOptions, space: Space, compose: Compose, folder: Path, mode: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.options, self.space = options, space
        self._compose, self._mode = compose, mode
        self._distributions = space.distributions()
        self._failed = 0
        self._reported: dict[int, set[int]] = {}
        name = options.study_name or space.name(options)
        try:
            self.study = optuna.create_study(
                storage=options.storage or _journal(folder / ".studies" / f"{name}.log"),
                study_name=name,
                load_if_exists=True,
                pruner=_made(PRUNERS, optuna.pruners, options.pruner),
                direction=f"{mode}imize",
            )
        # The storage is another project's code; a database raises whatever its driver does.
        except Exception as error:
            raise ConfigError(f"hydra.sweeper.storage={options.storage}: {str(error).splitlines()[0]}") from error
        self._take_up()

    def _take_up(self) -> None:
        """Lets the trials that were running when the search was stopped be the next ones."""
        from optuna.trial import TrialState

        again = self._again()
        for trial in self.study.get_trials(states=(TrialState.RUNNING,)):
            if trial.number not in again and len(trial.params) == len(self._distributions):
                self.study.enqueue_trial(trial.params, user_attrs={"again": trial.number})
            self.study.tell(trial.number, state=TrialState.FAIL)

    def _again(self) -> set[int]:
        """Returns the numbers of trials that were cut short and are made again under another number."""
        return {trial.user_attrs.get("again", -1) for trial in self.study.get_trials(deepcopy=False)}

    def _ended(self) -> int:
        """Returns how many trials have ended."""
        again = self._again()
        trials = self.study.get_trials(deepcopy=False)
        return sum(trial.state.is_finished() and trial.number not in again for trial in trials)

    def _waiting(self) -> int:
        """Returns how many trials of a batch that was cut short are to be made again, before any other."""
        from optuna.trial import TrialState

        return len(self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def left(self) -> int:
        """Returns how many trials are still to be made."""
        return max(0, self.options.n_trials - self._ended())

    def run(self, at_a_time: int, invalid: str, run: Run, say: Callable[[str], None]) -> bool:
        """Makes the trials that are missing, in batches; returns whether it was stopped before its end.

        Args:
            at_a_time: Trials of a batch.
            invalid: ``error`` or ``skip`` for trials whose options contradict each other.
            run: Runs the cells of a batch.
            say: Takes a line for each trial.

        Raises:
            ConfigError: A trial's options contradict each other.
            CellFailed: More trials failed than may.
        """
        while left := self.left():
            size = self._waiting() or min(at_a_time, left)
            asked = [self._asked(place, self._ended(), invalid, say) for place in range(size)]
            batch = [one for one in asked if one is not None]
            todo = {cell.resolved.key: cell for _, cells in batch for cell in cells if cell.todo}
            if todo and run(list(todo.values()), functools.partial(self._prunable, batch)):
                return True
            for trial, cells in batch:
                self._tell(trial, cells, say)
        return False

    def _asked(
        self, place: int, ended: int, invalid: str, say: Callable[[str], None]
    ) -> tuple[Any, list[Planned]] | None:
        """Returns the next trial and its cells, None for one whose options contradict each other.

        What is drawn follows from the seed, the trials that have ended and the place in the batch.
        """
        import optuna

        seed = f"{self.options.sampler.get('seed') or 0} {ended} {place}"
        drawn = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")
        self.study.sampler = _made(SAMPLERS, optuna.samplers, self.options.sampler, seed=drawn)
        trial = self.study.ask(self._distributions)
        try:
            return trial, plan(self.space.cells(trial.params), self._compose).cells
        except ConfigError as error:
            self.study.tell(trial, state=optuna.trial.TrialState.FAIL)
            if invalid == "error":
                raise
            say(f"trial {trial.number}: left out: {error}")
            return None

    def _prunable(self, batch: list[tuple[Any, list[Planned]]]) -> list[str]:
        """Reports what running trials have measured, and returns the keys of the cells that are to be stopped."""
        stopped: list[str] = []
        for trial, cells in batch if self.options.pruner["name"] != "none" else ():
            curves = [_curve(one) for one in cells]
            known = self._reported.setdefault(trial.number, set())
            fresh = sorted(set.intersection(*map(set, curves)) - known)
            for epoch in fresh:
                trial.report(statistics.fmean(curve[epoch] for curve in curves), epoch)
            known.update(fresh)
            # In its last epoch a trial ends by itself.
            if fresh and fresh[-1] + 1 < cells[0].resolved.config.trainer.max_epochs and trial.should_prune():
                stopped += [one.resolved.key for one in cells]
        return stopped

    def _tell(self, trial: Any, cells: list[Planned], say: Callable[[str], None]) -> None:
        from optuna.trial import TrialState

        states = {one.cell.status()["state"] for one in cells}
        words = " ".join(f"{key}={_short(value)}" for key, value in trial.params.items())
        if states == {"done"}:
            bests = [(one.cell.result() or {}).get("best") for one in cells]
            if all(bests):
                value = statistics.fmean(best["value"] for best in bests if best)
                self.study.tell(trial, value)
                best = self.study.best_trial.number == trial.number
                say(f"trial {trial.number}: {words}  {self._monitor(cells)} {value:.4g}{'  best so far' * best}")
                return
        if "diverged" in states or "waiting" in states:
            # To a sampler a pruned trial is worse than those that ended; one that diverged is no less so.
            self.study.tell(trial, state=TrialState.PRUNED)
            say(f"trial {trial.number}: {words}  {'diverged' if 'diverged' in states else 'pruned'}")
            return
        self.study.tell(trial, state=TrialState.FAIL)
        self._failed += 1
        why = next((status["error"] for one in cells if (status := one.cell.status()).get("error")), "no best epoch")
        say(f"trial {trial.number}: {words}  failed: {why}")
        if self._failed > self.options.max_failure_rate * self.options.n_trials:
            raise CellFailed(f"trial {trial.number} failed; hydra.sweeper.max_failure_rate=1 goes on without it")

    @staticmethod
    def _monitor(cells: list[Planned]) -> str:
        return cells[0].resolved.config.task.monitored

    def best(self) -> tuple[int, dict[str, Any], float] | None:
        """Returns number, options and value of the best trial; None where none has ended well."""
        try:
            best = self.study.best_trial
        except ValueError:
            return None
        assert best.value is not None
        return best.number, best.params, best.value


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _curve(one: Planned) -> dict[int, float]:
    """Returns the monitored metric by epoch, as far as a cell has measured it."""
    task = one.resolved.config.task
    lines = read_metrics(one.cell.path / "metrics.jsonl")
    kept = [line for line in lines if line["split"] == task.select and line.get(task.monitored) is not None]
    return {line["epoch"]: line[task.monitored] for line in kept}


def _journal(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    path.parent.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(path)))


def words_of(arguments: Sequence[str], params: Mapping[str, Any]) -> list[str]:
    """Returns the words of a search: those of the configuration, then those of the command line."""
    listed = [f"{key}={value if isinstance(value, str) else spelt(value)}" for key, value in params.items()]
    return expanded([*listed, *arguments])
