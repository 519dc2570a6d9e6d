"""``exp cost [OPTION=VALUE] ...``: parameters, MACs and FLOPs of a model, memory of a step, cells at once.

Parameters, multiply-accumulates and FLOPs of the model that the overrides choose, for one sample; the memory of a
training step; and how many such cells at once this machine has room for. It needs no data. A task may add to them: gait
says what its LSTM keeps for the backward pass.
"""

import argparse
import traceback
from pathlib import Path
from typing import Any

from exp.cells.terminal import one_or_more
from exp.commands.front import add_composition, add_format, add_overrides, resolved_by, show
from exp.options.config import Config
from exp.options.errors import ConfigError, DataError, brief, place
from exp.options.folders import PACKAGE
from exp.sweep.packing import Room, cells_at_once, fits, room_here


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_overrides(parser)
    add_composition(parser)
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the cost of the model that the overrides choose.

    Raises:
        ConfigError: A choice or option is wrong, or a user's own code cannot be built or run.
    """
    resolved = resolved_by(options, options.overrides)
    counts, step = _counted(resolved.config)
    lines = [
        f"parameters          {counts['params']:>18,}",
        *(f"{name:<20}{value:>18,}" for name, value in counts.items() if name not in _NAMED),
    ]
    if "macs" in counts:
        published = f"GFLOPs (published)  {counts['gflops_published']:>18.4f}"
        lines[1:1] = [f"MACs (conv+linear)  {counts['macs']:>18,}", published]
    else:
        lines.append("MACs are counted where the module has an example_input_array")
    if step:
        room = room_here(on_gpus=resolved.config.trainer.accelerator != "cpu")
        enough = fits(room, step["step_bytes"])
        step["jobs"] = cells_at_once(room, step["step_bytes"], step["operations"]) if enough else 0
        jobs = f"sweep.jobs={step['jobs']}" if enough else _too_large(resolved.config)
        lines += [
            f"memory of a step    {step['step_bytes'] / 1e9:>15.2f} GB  ({step['samples']} samples; weights, gradients,"
            f" optimizer {step['state_bytes'] / 1e9:.2f})",
            f"cells at once here  {step['jobs']:>18}  ({_has(room)}; {jobs})",
        ]
        counts |= step
    if resolved.narrowed:
        lines.append(f"{resolved.narrowed} by recipe={resolved.config.recipe}")
    show(counts, "\n".join(lines), options.format)
    return 0


def _counted(config: Config) -> tuple[dict[str, Any], dict[str, int]]:
    """Returns what a sample and a training step cost.

    Raises:
        ConfigError: A user's own code raised; the message names its line.
    """
    from exp.tasks.build import cost, step_cost

    try:
        return cost(config), step_cost(config)
    except (ConfigError, DataError):
        raise
    except Exception as error:
        if not place(error):
            raise
        raise ConfigError(f"{_blamed(error, config)}: {brief(error)}") from error


def _blamed(error: Exception, config: Config) -> str:
    """Returns what on the command line names the code that raised: a block of the user's own, else the task."""
    calls = traceback.extract_tb(error.__traceback__)
    if any(Path(call.filename) == PACKAGE / "blocks" / "custom.py" and call.name == "forward" for call in calls):
        return f"att.target={getattr(config.att, 'target', None)}: forward"
    return f"task={config.task.name}"


def _has(room: Room) -> str:
    """Returns what a machine has, as a person writes it."""
    if room.gpus:
        return f"{one_or_more(room.gpus, 'GPU')} of {room.gpu_memory / 1e9:.0f} GB, {one_or_more(room.cores, 'core')}"
    return f"{one_or_more(room.cores, 'core')}, {room.memory / 1e9:.0f} GB free"


def _too_large(config: Config) -> str:
    """Returns what to do where the memory of one step is more than there is."""
    batch = next((f"a smaller data.{name}, " for name in BATCHES if hasattr(config.data, name)), "")
    pieces = 2 * config.trainer.accumulate
    return f"too little for one: {batch}trainer.accumulate={pieces} for the same batch in pieces, or a smaller model"


BATCHES = ("batch_size", "batch_subjects")
"""Options of data sets that say how large a batch is."""
_NAMED = ("params", "macs", "gflops_published")
