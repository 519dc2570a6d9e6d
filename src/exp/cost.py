"""``python -m exp.cost [OVERRIDES] [--format json]``: parameters, MACs and FLOPs of a model; needs no data.

A task may add to them: gait says what its LSTM keeps for the backward pass.
"""

import json
import sys

from exp.config import ConfigError
from exp.config.compose import resolved


def main() -> None:
    """Prints the cost of the model that the overrides choose."""
    words = sys.argv[1:]
    if {"-h", "--help"} & set(words):
        print("usage: python -m exp.cost [GROUP=CHOICE] [OPTION=VALUE] ... [--format text|json]")
        return
    form = "text"
    if "--format" in words:
        place = words.index("--format")
        form = words[place + 1] if place + 1 < len(words) else ""
        del words[place : place + 2]
    if form not in ("text", "json"):
        print(f"exp.cost: --format {form}: text or json", file=sys.stderr)
        sys.exit(2)
    try:
        config = resolved(words).config
    except ConfigError as error:
        print(f"exp.cost: {error}", file=sys.stderr)
        sys.exit(2)
    from exp.train import cost

    counts = cost(config)
    if form == "json":
        print(json.dumps(counts))
        return
    print(f"parameters          {counts['params']:>18,}")
    print(f"MACs (conv+linear)  {counts['macs']:>18,}")
    print(f"GFLOPs (published)  {counts['gflops_published']:>18.4f}")
    for name, value in counts.items():
        if name not in ("params", "macs", "gflops_published"):
            print(f"{name:<20}{value:>18,}")


if __name__ == "__main__":
    main()
