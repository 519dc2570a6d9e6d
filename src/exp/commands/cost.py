"""``exp cost [OPTION=VALUE] ...``: parameters, MACs and FLOPs of a model.

Parameters, multiply-accumulates and FLOPs of the model that the overrides choose, for one sample; needs no data.
A task may add to them: gait says what its LSTM keeps for the backward pass.
"""

import argparse

from exp.commands.front import add_composition, add_format, add_overrides, resolved_by, show


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments."""
    add_overrides(parser)
    add_composition(parser)
    add_format(parser)


def run(options: argparse.Namespace) -> int:
    """Prints the cost of the model that the overrides choose.

    Raises:
        ConfigError: A choice or option is wrong.
    """
    resolved = resolved_by(options, options.overrides)
    from exp.tasks.build import cost

    counts = cost(resolved.config)
    lines = [
        f"parameters          {counts['params']:>18,}",
        *(f"{name:<20}{value:>18,}" for name, value in counts.items() if name not in _NAMED),
    ]
    if "macs" in counts:
        published = f"GFLOPs (published)  {counts['gflops_published']:>18.4f}"
        lines[1:1] = [f"MACs (conv+linear)  {counts['macs']:>18,}", published]
    else:
        lines.append("MACs are counted where the module has an example_input_array")
    if resolved.narrowed:
        lines.append(f"{resolved.narrowed} by recipe={resolved.config.recipe}")
    show(counts, "\n".join(lines), options.format)
    return 0


_NAMED = ("params", "macs", "gflops_published")
