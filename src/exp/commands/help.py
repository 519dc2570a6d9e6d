"""``exp help`` and ``exp --help``: how to use exp, in one screen."""

import argparse
import textwrap

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


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares no arguments."""


def run(options: argparse.Namespace) -> int:
    """Prints usage, verbs, groups and examples."""
    print("Ablation tables you can run.\n")
    print("usage: exp [GROUP=CHOICE] [OPTION=VALUE] [GROUP.OPTION=VALUE] ...")
    print("       exp --multirun KEY=A,B,C ...")
    print("       exp VERB ...      (exp VERB --help says more; python -m exp is the same program)\n")
    print("\n".join(_in_columns([f"{verb:10} {meaning}" for verb, meaning in VERBS.items()])), end="\n\n")
    for group in YAML_GROUPS:
        choices = " ".join(choices_of(group))
        print(textwrap.fill(choices, 118, initial_indent=f"  {group + '=':9}", subsequent_indent=" " * 11))
    print(f"\n  options in sections: {', '.join(f'{section}.*' for section in SECTIONS if section != 'origin')};")
    print("  any option of a choice also by its short name (kernel_size=5), which goes to the part that has it\n")
    width = max(len(command) for command, _ in EXAMPLES)
    for command, meaning in EXAMPLES:
        print(f"  {command:{width}}  {meaning}")
    return 0


def _in_columns(texts: list[str]) -> list[str]:
    """Returns indented lines with two texts each, where both fit one of 120 characters."""
    lines, left = [], 58
    while texts:
        first, *texts = texts
        if texts and len(first) < left and len(texts[0]) < left:
            second, *texts = texts
            first = f"{first:{left}}  {second}"
        lines.append(f"  {first}")
    return lines
