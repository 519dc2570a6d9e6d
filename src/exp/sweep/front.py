"""A sweep from the user's side: plan, run, table, what to do next. Loads no torch."""

import math
import shlex
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from exp.cells.cell import EXIT_CODES
from exp.cells.files import refuse_unwritable
from exp.cells.terminal import disk, duration, one_or_more, pasted, shown
from exp.cells.unsent import unsent
from exp.options.checks import seconds_of
from exp.options.errors import ConfigError
from exp.sweep.course import Course
from exp.sweep.dry import tell
from exp.sweep.lines import new_console
from exp.sweep.plan import Compose, Plan, Planned, plan
from exp.sweep.pool import Outcome, Pool, Slots
from exp.sweep.progress import Progress
from exp.sweep.record import SweepRecord
from exp.sweep.screen import Screen
from exp.sweep.summary import with_short_seeds

Watch = Callable[[dict[str, Planned]], None]
"""Takes the cells that run now, by key."""


def sweep(
    combinations: Iterable[list[str]],
    compose: Compose,
    screen: Screen,
    *,
    invalid: str,
    command: str,
    course: Course,
    watch: Watch = lambda running: None,
) -> int:
    """Runs what is missing of a sweep and prints its table.

    Args:
        combinations: Overrides of each cell.
        compose: Composes overrides to a plain configuration.
        screen: How the cells are shown.
        invalid: ``error`` or ``skip`` for combinations of choices that contradict each other.
        command: What the user typed.
        course: How much time there is, and who hears of the end.
        watch: Called about four times a second with the cells that run, by key.

    Returns:
        Exit code: 0 where all cells are done, 1 where one failed or is unfinished, 130 where the sweep was interrupted.

    Raises:
        ConfigError: A combination is invalid, a model cannot be built, or the cells' folder cannot be written to.
        DataError: A data set is missing or damaged.
        CellFailed: The warm server was ended again and again.
    """
    started = time.monotonic()
    console = new_console()
    planned = plan(combinations, compose, invalid=invalid)
    if planned.cells[0].resolved.config.sweep.dry:
        return _tell(planned, command, invalid, console)
    outcomes: dict[str, Outcome] = {}
    interrupted = exhausted = False
    if any(one.todo or one.state == "running" for one in planned.cells):
        refuse_unwritable(planned.cells[0].cell.root, planned.cells[0].cell.path.parent)
        outcomes, interrupted, exhausted = _run(planned, screen, command, invalid, console, course, watch)
    ending = Ending(command, time.monotonic() - started, interrupted, exhausted)
    return report(planned, outcomes, ending, screen, course)


@dataclass(frozen=True)
class Ending:
    """How a sweep has ended.

    Attributes:
        command: What the user typed.
        seconds: How long it took.
        interrupted: Whether the user or the system asked to stop.
        exhausted: Whether its time was over before its cells were.
    """

    command: str
    seconds: float
    interrupted: bool = False
    exhausted: bool = False


def _run(
    planned: Plan, screen: Screen, command: str, invalid: str, console: Console, course: Course, watch: Watch
) -> tuple[dict[str, Outcome], bool, bool]:
    todo = [one for one in planned.cells if one.todo or one.state == "running"]
    options = todo[0].resolved.config.sweep
    names = screen.names(planned.cells)
    slots = _slots(planned)
    record = SweepRecord(todo[0].cell.root, planned.cells, names, command, slots.free)
    with Progress(todo, names, _finished(planned), console) as view:
        by_key = {one.resolved.key: one for one in todo}

        def update(running: set[str]) -> None:
            view.update(running)
            watch({key: by_key[key] for key in by_key if key in running})

        pool = Pool(command, update, lambda line: console.print(line, style="dim", markup=False))
        try:
            check_models(planned, pool, invalid)
            kept = {one.resolved.key for one in planned.cells}
            with record:
                outcomes = pool.run(
                    [one for one in todo if one.resolved.key in kept],
                    slots,
                    retry=options.retry,
                    stop_on_error=options.on_error == "stop",
                    seconds=course.left,
                    timeout=(seconds_of(options.timeout) if options.timeout else None) or math.inf,
                )
            return outcomes, pool.interrupted, pool.exhausted
        finally:
            pool.close()


def _tell(planned: Plan, command: str, invalid: str, console: Console) -> int:
    """Tells what the sweep would take; returns the exit code."""
    slots = _slots(planned)
    pool = Pool(command)
    try:
        if planned.todo:
            check_models(planned, pool, invalid)
        return tell(planned, pool, slots, console)
    finally:
        pool.close()


def _slots(planned: Plan) -> Slots:
    trainers = [one.resolved.config.trainer for one in planned.cells]
    accelerators: set[str] = {trainer.accelerator for trainer in trainers}
    wanted = sum(trainer.devices for trainer in trainers)
    return Slots.of_machine(planned.cells[0].resolved.config.sweep.jobs, accelerators, wanted)


def check_models(planned: Plan, pool: Pool, invalid: str) -> None:
    """Builds the models of the cells that will run, without memory for their weights.

    Raises:
        ConfigError: One cannot be built and ``invalid`` is ``error``; with ``skip`` its cells are left out.
    """
    broken = pool.check(planned.todo)
    if broken and invalid == "error":
        where, why = broken[0]
        raise ConfigError(f"{where.resolved.slug}: this model cannot be built: {why}")
    for where, why in broken:
        planned.cells.remove(where)
        planned.skipped.append((where.resolved.overrides, why))
    for note in pool.notes:
        print(note, flush=True)


def report(planned: Plan, outcomes: dict[str, Outcome], ending: Ending, screen: Screen, course: Course) -> int:
    """Prints the table, the failures, and what to type next, keeps it for who hears of it; returns the exit code."""
    console = new_console(record=course.notifies)
    code = _print_report(planned, outcomes, ending, console, screen)
    if course.notifies:
        course.add(console.export_text())
    return code


def _print_report(planned: Plan, outcomes: dict[str, Outcome], ending: Ending, console: Console, screen: Screen) -> int:
    called = screen.names(planned.cells)
    screen.end(planned, console)
    console.print()
    bad = {"failed", "diverged"}
    ended = {one.resolved.key: _ended(one, outcomes) for one in planned.cells}
    for one in planned.cells:
        status = ended[one.resolved.key]
        if status["state"] in bad:
            console.print(
                Text(status["state"], style="red"),
                f"{called[one.resolved.key]}: {status.get('error', '')}",
                markup=False,
            )
            for file in _where_to_read(one.cell.path):
                console.print(f"  {shown(file)}", style="dim")
        elif status["state"] == "running":
            console.print(
                f"[cyan]running[/cyan] {called[one.resolved.key]}: in another process, on {status.get('host')}"
            )
    for line in sorted({one.resolved.narrowed for one in planned.cells if one.resolved.narrowed}):
        console.print(f"{line} by recipe={planned.cells[0].resolved.config.recipe}", style="dim", markup=False)
    stale = [one for one in planned.cells if one.changed and not one.anew]
    if stale:
        changed = sorted({what for one in stale for what in one.changed})
        console.print(
            f"[yellow]{len(stale)} stale[/yellow]: changed since they ran: {', '.join(changed[:6])}"
            f"{' ...' if len(changed) > 6 else ''}; sweep.force=stale runs them anew"
        )
    ran = sum(outcome.state == "done" for outcome in outcomes.values())
    folder = planned.cells[0].cell.path.parent
    before = len(planned.cells) - len(outcomes)
    console.print(
        f"{one_or_more(ran, 'cell')} run, {before} not run again, in {duration(ending.seconds)};"
        f" results in {shown(folder)} ({disk(folder)} on disk)"
    )
    if ending.interrupted:
        console.print(f"Interrupted; everything is saved. To go on: {with_short_seeds(ending.command)}", markup=False)
        return 130
    if ending.exhausted:
        console.print("The budget is used up; everything is saved", markup=False)
    failed = any(status["state"] in bad for status in ended.values())
    left = sum(outcome.state in ("waiting", "running") for outcome in outcomes.values())
    if left:
        what = "cell is" if left == 1 else "cells are"
        console.print(f"{left} {what} not finished; the same command goes on from there")
    if step := next_step(planned, failed, ending.command, screen):
        console.print(step, style="dim", markup=False)
    if line := unsent(one.cell.path for one in planned.cells):
        console.print(line, style="dim", markup=False)
    return EXIT_CODES["failed"] if failed or left else 0


def _where_to_read(folder: Path) -> list[Path]:
    """Returns the file that says most about a failure; none where a full disk has left none."""
    files = (folder / "error.txt", folder / "log.txt")
    return [file for file in files if file.is_file() and file.stat().st_size][:1]


def _ended(one: Planned, outcomes: dict[str, Outcome]) -> dict[str, Any]:
    """Returns a cell's status; where its folder could not be written to, how it ended is known here alone."""
    status, outcome = one.cell.status(), outcomes.get(one.resolved.key)
    if outcome is not None and outcome.state == "failed" and status["state"] == "waiting":
        return status | {"state": "failed", "error": outcome.error}
    return status


def next_step(planned: Plan, failed: bool, command: str, screen: Screen) -> str:
    """What a user is likely to type next; seeds that are many are written as a range."""
    command = with_short_seeds(command)
    if failed:
        return f"Next: see the errors above. {command} tries failed cells again; sweep.force=failed diverged ones too"
    seeds = {one.resolved.seed for one in planned.cells}
    if len(seeds) == 1:
        without = pasted(*(word for word in shlex.split(command) if not word.startswith("seed=")))
        why = "differences of one seed say nothing; " if len(planned.cells) > 1 else ""
        (first,) = seeds
        return f"Next: {why}{without} seed={first},{first + 1},{first + 2} runs only the cells that are missing"
    two = [shown(one.cell.path) for one in screen.pair(planned)]
    return f"Next: {pasted('exp', 'diff', *two)}" if len(two) == 2 else ""


def _finished(planned: Plan) -> int:
    return sum(one.state in ("done", "stale") and not one.todo for one in planned.cells)
