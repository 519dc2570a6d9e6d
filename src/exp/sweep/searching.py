"""A search from the user's side: its trials run, its best at the end, what to do next. Loads no torch."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console

from exp.cells.lock import Lock, Locked
from exp.cells.terminal import pasted, shown, typed_command
from exp.options.catalog import monitored
from exp.options.errors import ConfigError
from exp.sweep.course import Course
from exp.sweep.front import Watch, check_models
from exp.sweep.lines import new_console
from exp.sweep.plan import Compose, Plan, Planned, plan
from exp.sweep.pool import Pool, Slots
from exp.sweep.progress import Progress
from exp.sweep.screen import Screen
from exp.sweep.search import Search, SearchOptions, Space

Elsewhere = Callable[[list[Planned]], int]
"""Runs cells by another launcher and returns its exit code."""


class _Batches:
    """Runs the batches of a search through one warm server.

    Args:
        command: What the user typed.
        course: How much time there is.
        watch: Called with the cells that run, by key.
        elsewhere: Runs cells by another launcher; None for ours.
    """

    def __init__(self, command: str, course: Course, watch: Watch, elsewhere: Elsewhere | None) -> None:
        self._console = new_console()
        self._course, self._watch, self._elsewhere = course, watch, elsewhere
        self._command = command
        self._pool: Pool | None = None
        self._update: Callable[[set[str]], None] = lambda running: None
        self.interrupted = False

    def __call__(self, cells: list[Planned], pruned: Callable[[], list[str]]) -> bool:
        """Runs a batch; returns whether the search is to end."""
        if self._elsewhere is not None:
            self.interrupted = self._elsewhere(cells) == 130
            return self.interrupted
        if self._pool is None:
            self._pool = Pool(self._command, lambda running: self._update(running))
        pool, options = self._pool, cells[0].resolved.config.sweep
        by_key = {one.resolved.key: one for one in cells}
        with Progress(cells, Screen().names(cells), 0, self._console) as view:

            def update(running: set[str]) -> None:
                view.update(running)
                self._watch({key: one for key, one in by_key.items() if key in running})

            self._update = update
            check_models(Plan(cells, []), pool, "error")
            slots = Slots.of_machine(options.jobs, {one.resolved.config.trainer.accelerator for one in cells})
            pool.run(cells, slots, retry=options.retry, stop_on_error=False, seconds=self._course.left, pruned=pruned)
        self.interrupted = pool.interrupted
        return pool.interrupted or pool.exhausted

    def close(self) -> None:
        """Ends the server."""
        if self._pool is not None:
            self._pool.close()


def run_search(
    options: SearchOptions,
    space: Space,
    compose: Compose,
    course: Course,
    watch: Watch,
    elsewhere: Elsewhere | None,
) -> int:
    """Makes the trials that are missing and prints the best.

    Args:
        options: Of the sweeper.
        space: What is searched.
        compose: Composes overrides to a plain configuration.
        course: How much time there is, and who hears of the end.
        watch: Called about four times a second with the cells that run, by key.
        elsewhere: Runs cells by another launcher; None for ours.

    Returns:
        Exit code: 0, 1 where no trial ended well or time was up, 130 where it was interrupted.

    Raises:
        ConfigError: The search cannot begin, or is searched by another process.
        CellFailed: More trials failed than may.
    """
    first = _first(space, compose)
    folder = first.cell.root
    monitor, mode = monitored(first.resolved.config.task)
    if options.direction not in (None, f"{mode}imize"):
        raise ConfigError(f"hydra.sweeper.direction={options.direction}: {monitor} calls for {mode}imize; leave it out")
    if elsewhere is not None and options.pruner["name"] != "none":
        raise ConfigError(
            f"hydra/sweeper/pruner={options.pruner['name']}: stops cells of this machine alone; take"
            " hydra/launcher=cells"
        )
    with _alone(folder, options.study_name or space.name(options)) as name:
        console = new_console(record=course.notifies)
        batches = _Batches(typed_command(), course, watch, elsewhere)
        try:
            search = Search(options, space, compose, folder, mode)
            made = options.n_trials - search.left()
            console.print(f"study {name}: {made} of {options.n_trials} trials made", markup=False)
            slots = Slots.of_machine(first.resolved.config.sweep.jobs, {first.resolved.config.trainer.accelerator})
            at_a_time = options.n_jobs or max(1, slots.free // len(space.seeds))
            invalid = first.resolved.config.sweep.invalid
            stopped = search.run(at_a_time, invalid, batches, lambda line: console.print(line, markup=False))
        finally:
            batches.close()
        code = 1 if stopped and search.best() is None else _end(search, monitor, folder, console)
        if stopped:
            why = "Interrupted" if batches.interrupted else "The budget is used up"
            console.print(f"{why}; everything is saved. To go on: {typed_command()}", markup=False)
        if course.notifies:
            course.add(console.export_text())
        return 130 if batches.interrupted else 1 if stopped else code


@contextmanager
def _alone(folder: Path, name: str) -> Iterator[str]:
    """Keeps other processes away from a study.

    Raises:
        ConfigError: One is at it.
    """
    (folder / ".studies").mkdir(parents=True, exist_ok=True)
    lock = Lock(folder / ".studies" / f"{name}.lock")
    try:
        lock.acquire()
    except Locked:
        raise ConfigError(f"hydra/sweeper=optuna: the study {name} is searched by another process") from None
    try:
        yield name
    finally:
        lock.release()


def _first(space: Space, compose: Compose) -> Planned:
    """Returns a cell of the space, by which folder, task and metric are known before the first trial.

    Raises:
        ConfigError: The words that all trials share are wrong.
    """
    return plan([[*space.fixed, *space.seeds[0]]], compose).cells[0]


def _end(search: Search, monitor: str, folder: Path, console: Console) -> int:
    """Prints the best trial, writes it down, and returns the exit code."""
    best = search.best()
    if best is None:
        console.print("no trial has ended well")
        return 1
    number, params, value = best
    words = search.space.cells(params)
    mean = f", mean of {len(words)} seeds" if len(words) > 1 else ""
    made = search.options.n_trials - search.left()
    console.print(f"best of {made}: trial {number}, {monitor} {value:.4g} in validation{mean}", markup=False)
    path = folder / "optimization_results.yaml"
    OmegaConf.save(OmegaConf.create({"name": "optuna", "best_params": params, "best_value": value}), path)
    seeds = [word for words in search.space.seeds for word in words]
    several = [f"seed={','.join(word.partition('=')[2] for word in seeds)}"] if len(seeds) > 1 else seeds
    start = ["exp", "--multirun"] if len(words) > 1 else ["exp"]
    kept = [word for word in words[0] if not word.startswith(("seed=", "hydra"))]
    console.print(f"written to {shown(path)}", markup=False)
    console.print(f"Next: {pasted(*start, *kept, *several)}", markup=False)
    return 0
