"""``exp help`` and ``exp --help``: how to use exp, in one screen."""

import argparse

from exp.cells.terminal import columns, folded
from exp.commands import VERBS
from exp.options.catalog import SECTIONS
from exp.options.compose import YAML_GROUPS, choices_of

EXAMPLES = (
    ("exp", "the default cell: minutes on a laptop, data embedded"),
    ("exp model=resnet18 att=ca reduction=16", "one cell"),
    ("exp --multirun att=none,triplet,ca seed=0,1,2", "a grid; again runs only what is missing"),
    ("exp data=cifar100 data.root=/data recipe=sound", "real data where the publisher's files lie"),
    ("exp --cfg job att=ca", "what would run, every option with its value"),
    ("exp table gait --run", "a published table: run what is missing, compare"),
)

WIDEST = 120
"""Columns beyond which lines are no easier to read."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares no arguments."""


def run(options: argparse.Namespace) -> int:
    """Prints usage, verbs, groups and examples, as wide as the terminal is."""
    width = min(columns(WIDEST), WIDEST)
    print("Ablation tables you can run.\n")
    print("usage: exp [GROUP=CHOICE] [OPTION=VALUE] [GROUP.OPTION=VALUE] ...")
    print("       exp --multirun KEY=A,B,C ...")
    more = "       exp VERB ...      (exp VERB --help says more; python -m exp is the same program)"
    print(folded(more, width, 25), end="\n\n")
    print("\n".join(_in_columns([f"{verb:10} {meaning}" for verb, meaning in VERBS.items()], width)), end="\n\n")
    for group in YAML_GROUPS:
        print(folded(f"  {group + '=':11}{' '.join(choices_of(group))}", width, 13))
    sections = ", ".join(f"{section}.*" for section in SECTIONS if section != "origin")
    short = "any option of a choice also by its short name (kernel_size=5), which goes to the part that has it"
    print()
    print(folded(f"options in sections: {sections};", width, 2, first=2))
    print(folded(short, width, 2, first=2), end="\n\n")
    longest = max(len(command) for command, _ in EXAMPLES)
    beside = all(longest + len(meaning) + 4 <= width for _, meaning in EXAMPLES)
    for command, meaning in EXAMPLES:
        print(f"  {command:{longest}}  {meaning}" if beside else f"  {command}\n{folded(meaning, width, 6, first=6)}")
    return 0


def _in_columns(texts: list[str], width: int) -> list[str]:
    """Returns indented lines, with two texts each where there is room for any two."""
    left = width // 2 - 2
    if max(map(len, texts)) >= left:
        return [folded(f"  {text}", width, 13) for text in texts]
    return [
        f"  {'  '.join(f'{text:{left}}' for text in texts[at : at + 2])}".rstrip() for at in range(0, len(texts), 2)
    ]
