"""A table of an ablation study as a YAML file: rows, columns, seeds, published numbers, claims."""

import itertools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from exp.options.words import spelt
from exp.tables.located import Located

OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True)
class Citation:
    """Where published numbers are printed.

    Attributes:
        name: What the table calls it.
        file: The document's file name.
        title: What it is, for a reader.
        via: The page that quotes it, where the document itself was not at hand.
        on: What its numbers were measured on, as options: the data, the model, and all else in which its runs differ
            from what the table's rows state.
        beyond: What its runs had that no option can say, such as weights nobody has; its numbers are then context only.
    """

    name: str
    file: str
    title: str
    via: str = ""
    on: dict[str, Any] = field(default_factory=dict)
    beyond: str = ""


@dataclass(frozen=True)
class Bound:
    """A threshold such as ``< 0.1``."""

    sign: str
    value: float

    def __call__(self, measured: float) -> bool:
        """Whether a value lies on the right side."""
        return OPERATORS[self.sign](measured, self.value)

    def __str__(self) -> str:
        return f"{self.sign} {self.value:g}"


EXACT = ("result/params", "result/macs", "result/gflops_published")


Under = tuple[tuple[str, Any], ...]
"""Options of a column's cells with their values; empty where they are those of the row alone."""


def setting(under: Under) -> str:
    """Returns such options as words: ``data=cifar100``."""
    return ", ".join(f"{key}={spelt(value)}" for key, value in under)


@dataclass(frozen=True)
class Column:
    """One metric of a table.

    Attributes:
        name: Heading.
        metric: Where the value is in a cell: ``test/NAME``, ``best/NAME`` (the chosen epoch), ``train/NAME`` and
            ``last/NAME`` (training and evaluation of the last epoch), ``epochN/NAME`` (evaluation after epoch N) or
            ``result/NAME``.
        unit: Unit, empty where there is none.
        higher: Whether more is better.
        chance: What guessing gives; a row whose interval covers it has failed.
        passes: When a run passes, where the source states a criterion.
        fails: When a run fails by the source's criterion.
        quote: The source's own words that hold the criteria.
        source: Key of the source of the criteria.
        note: Said beside the column.
        primary: Whether it is stated beforehand as one of those that the table is judged by.
        tolerance: How small a difference does not matter; the table's where None, see ``Table.tolerance_of``.
        censored: Whether a finished cell without a value never got there, and counts as later than all that did.
        counted: Whether it counts something of the model itself.
        todo: What is missing before it can be measured, as where nobody knows yet which metric is meant.
        per: What a measured value is divided by, where the source prints millions of parameters, say.
        under: Options that the column's cells have besides their row's, such as another data set.
    """

    name: str
    metric: str
    unit: str = ""
    higher: bool = True
    chance: float | None = None
    passes: Bound | None = None
    fails: Bound | None = None
    quote: str = ""
    source: str = ""
    note: str = ""
    primary: bool = False
    tolerance: float | None = None
    censored: bool = False
    counted: bool = False
    todo: str = ""
    per: float = 1.0
    under: Under = ()

    @property
    def exact(self) -> bool:
        """Whether it counts something of the model itself, the same for every seed, so that there is no noise."""
        return self.counted or self.metric in EXACT


@dataclass(frozen=True)
class Row:
    """One row: a name and what it overrides.

    Attributes:
        name: Its name.
        overrides: Option to value; a value may say ``best of table NAME`` or hold ``{choice}``.
        note: Said beside the row.
        against: The row that it is compared with, where that is not the table's reference.
        todo: What is missing before it can run, as where nobody knows yet which options a paper's row means.
    """

    name: str
    overrides: dict[str, Any]
    note: str = ""
    against: str = ""
    todo: str = ""


@dataclass(frozen=True)
class Number:
    """What a source publishes for a row and column.

    Attributes:
        value: The number, None where the row is published as failed.
        quote: The source's own words that hold it.
        source: Key of the source.
        note: A doubt about it.
        on: In which options the source's row differs from the table's, such as its backbone.
        sd: The standard deviation that is printed with it.
        n: The number of runs it is the mean of, where the source says so.
    """

    row: str
    column: str
    value: float | None
    quote: str
    source: str
    note: str = ""
    on: dict[str, Any] = field(default_factory=dict)
    sd: float | None = None
    n: int | None = None

    @property
    def text(self) -> str:
        """As it is shown: ``78.0 ± 0.2 (5)`` as far as the source gives it, mean and spread with as many decimals."""
        if self.value is None:
            return "failed"
        plain = [f"{one:.10g}" for one in (self.value, self.sd) if one is not None]
        decimals = max(len(text.partition(".")[2]) for text in plain)
        shown = " ± ".join(f"{float(text):.{decimals}f}" for text in plain)
        return shown + ("" if self.n is None else f" ({self.n})")


@dataclass(frozen=True)
class Claim:
    """A sentence of a source as a check, column by column.

    Attributes:
        text: The sentence, in English.
        columns: Columns it is about.
        order: Rows from best to worst, in groups that are not compared within; empty where it is about one row.
        row: The row that a bound or a failure is claimed of.
        bound: The threshold its mean is claimed to keep; None claims that the row fails.
        quote: The source's own words.
        source: Key of the source, empty for a claim of this project.
        note: A doubt about it.
    """

    text: str
    columns: tuple[str, ...]
    order: tuple[tuple[str, ...], ...] = ()
    row: str = ""
    bound: Bound | None = None
    quote: str = ""
    source: str = ""
    note: str = ""

    @property
    def rows(self) -> set[str]:
        """The rows it is about."""
        return {self.row} if self.row else set(itertools.chain(*self.order))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each row that is claimed to be better with each it is claimed to be better than."""
        return [pair for better, worse in itertools.pairwise(self.order) for pair in itertools.product(better, worse)]


@dataclass(frozen=True)
class Choice:
    """A value taken over from results.

    Attributes:
        table: The table whose rows decide; empty for this one.
        axis: The option whose value is taken from the best row.
        among: Value to row, where the rows are named instead.
    """

    table: str = ""
    axis: str = ""
    among: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table; see ``docs/tables.md`` for the form of the file.

    Attributes:
        tolerance: How far a reproduced number may lie from the published one, and within which differences count as
            none; see ``tolerance_of``.
        may_differ: Options in which a run may differ from the source and still be compared with it, each with the
            words that say by how much it was shown to matter.
        own: Whether it is the user's own, not one that ships with exp.
        file: Where it was read from.
    """

    name: str
    title: str
    sources: dict[str, Citation]
    base: dict[str, Any]
    rows: dict[str, Row]
    columns: dict[str, Column]
    seeds: tuple[int, ...]
    reference: str
    published: tuple[Number, ...] = ()
    claims: tuple[Claim, ...] = ()
    choices: dict[str, Choice] = field(default_factory=dict)
    tolerance: float = math.inf
    notes: tuple[str, ...] = ()
    may_differ: dict[str, str] = field(default_factory=dict)
    own: bool = False
    file: Located | None = field(default=None, repr=False, compare=False)

    def at(self, *place: object) -> str:
        """Returns ``FILE:LINE`` of a place in the table's file, such as ``at("rows", "ca")``."""
        return self.file.at(*place) if self.file else f"table {self.name}"

    def number(self, row: str, column: str) -> Number | None:
        """What was published for a row and column."""
        return next((one for one in self.published if (one.row, one.column) == (row, column)), None)

    def reference_of(self, row: str) -> str:
        """The row that a row is compared with."""
        return self.rows[row].against or self.reference

    def cited(self, row: str) -> list[Citation]:
        """The sources whose numbers stand beside a row; those of the other rows where it has none of its own."""
        own = {one.source for one in self.published if one.row == row} or {one.source for one in self.published}
        return [self.sources[name] for name in self.sources if name in own]

    def on(self, row: str) -> dict[str, Any]:
        """What the published numbers beside a row were measured on, as options added to the row's own."""
        merged: dict[str, Any] = {}
        for source in self.cited(row):
            merged |= source.on
        for one in self.published:
            merged |= one.on if one.row == row else {}
        return merged

    def tolerance_of(self, column: Column) -> float:
        """How small a difference in a column does not matter.

        That is the column's own tolerance, else the table's, which is meant for columns in a unit in which numbers are
        published (in any unit where the table has none); infinite where neither says anything.
        """
        if column.tolerance is not None:
            return column.tolerance
        units = {self.columns[one.column].unit for one in self.published if one.value is not None} or {"%"}
        return self.tolerance if column.unit in units else math.inf

    @property
    def slug(self) -> str:
        """The name as a part of file names and anchors."""
        return "-".join("".join(letter if letter.isalnum() or letter in "-_" else " " for letter in self.name).split())

    @property
    def varied(self) -> list[str]:
        """The options that rows set."""
        return list(dict.fromkeys(key for row in self.rows.values() for key in row.overrides))

    @property
    def settings(self) -> list[Under]:
        """What the columns are measured under, each once; a row has cells for every one of them."""
        return list(dict.fromkeys(column.under for column in self.columns.values()))

    @property
    def needs(self) -> list[str]:
        """Other tables whose best row is taken over."""
        return list(dict.fromkeys(choice.table for choice in self.choices.values() if choice.table))
