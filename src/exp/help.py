"""``python -m exp --help``: one screen."""

import textwrap

from exp.config import SECTIONS
from exp.config.compose import YAML_GROUPS, choices_of

EXAMPLES = (
    ("exp", "the default cell: minutes on a laptop, data embedded"),
    ("exp model=resnet18 att=ca reduction=16", "one cell"),
    ("exp --multirun att=none,triplet,ca seed=0,1,2", "a grid; again runs only what is missing"),
    ("exp data=cifar100 data.root=/data recipe=sound", "real data where the publisher's files lie"),
    ("exp --cfg job att=ca", "what would run, every option with its value"),
    ("exp.list att", "what can be chosen and each choice's options"),
    ("exp.diff CELL CELL", "how two cells differ"),
    ("exp.table", "published tables; exp.table NAME --run runs one"),
    ("exp.cost model=resnet50 att=triplet data=imagenet", "parameters, MACs, FLOPs"),
)


def print_help() -> None:
    """Prints usage, groups and examples."""
    print("Ablation tables you can run.\n")
    print("usage: python -m exp [GROUP=CHOICE] [OPTION=VALUE] [GROUP.OPTION=VALUE] ...")
    print("       python -m exp --multirun KEY=A,B,C ...      (or the console script: exp ...)\n")
    for group in YAML_GROUPS:
        listed = " ".join(choices_of(group))
        print(textwrap.fill(listed, 100, initial_indent=f"  {group + '=':9}", subsequent_indent=" " * 11))
    print(
        f"\n  options in sections: {', '.join(f'{section}.*' for section in SECTIONS)}; any option of a choice also by"
    )
    print("  its short name (kernel_size=5), which goes to the part that declares it\n")
    width = max(len(command) for command, _ in EXAMPLES) + 10
    for command, meaning in EXAMPLES:
        print(f"  {'python -m ' + command:{width}}  {meaning}")
