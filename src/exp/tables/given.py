"""Overrides given on the command line of a table: what they set, which rows they keep, which seeds."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from exp.options.catalog import GROUPS, SECTIONS
from exp.options.errors import ConfigError
from exp.options.fields import fields
from exp.options.words import parsed, spelt
from exp.sweep.summary import spelt_seeds
from exp.tables.spec import Table

PASSED_ON = ("hydra/", "hydra.", "sweep.")
"""Beginnings of overrides that concern how a table is run, not what."""


@dataclass(frozen=True)
class Given:
    """The command line, sorted.

    Attributes:
        options: Options that hold for every cell.
        rows: Options that rows vary, with the values to keep.
        seeds: Seeds, None for the table's own.
        run: Overrides for the sweep alone.
        columns: Options that columns vary, with the values to keep.
    """

    options: dict[str, str]
    rows: dict[str, tuple[str, ...]]
    seeds: tuple[int, ...] | None
    run: tuple[str, ...]
    columns: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def kept(self, table: Table) -> list[str]:
        """Names of the table's rows that the command line leaves.

        Raises:
            ConfigError: None is left.
        """
        left = [
            name
            for name, row in table.rows.items()
            if all(spelt(row.overrides.get(key, table.base.get(key))) in wanted for key, wanted in self.rows.items())
        ]
        if not left:
            asked = " ".join(f"{key}={','.join(values)}" for key, values in self.rows.items())
            known = {key: [spelt(row.overrides.get(key)) for row in table.rows.values()] for key in self.rows}
            there = "; ".join(f"{key} is one of {', '.join(dict.fromkeys(values))}" for key, values in known.items())
            raise ConfigError(f"{asked}: no row of table {table.name} is left; {there}")
        return left

    def narrowed(self, table: Table) -> Table:
        """Returns the table with the columns that the command line leaves.

        Raises:
            ConfigError: None is left.
        """
        if not self.columns:
            return table
        under = {name: table.base | dict(column.under) for name, column in table.columns.items()}
        left = {
            name: column
            for name, column in table.columns.items()
            if all(spelt(under[name].get(key)) in wanted for key, wanted in self.columns.items())
        }
        if not left:
            asked = " ".join(f"{key}={','.join(values)}" for key, values in self.columns.items())
            known = {key: dict.fromkeys(spelt(one.get(key)) for one in under.values()) for key in self.columns}
            there = "; ".join(f"{key} is one of {', '.join(values)}" for key, values in known.items())
            raise ConfigError(f"{asked}: no column of table {table.name} is left; {there}")
        claims = (replace(one, columns=tuple(name for name in one.columns if name in left)) for one in table.claims)
        return replace(
            table,
            columns=left,
            published=tuple(one for one in table.published if one.column in left),
            claims=tuple(one for one in claims if one.columns),
        )

    def variant(self) -> list[str]:
        """Returns the overrides that change a number, in a fixed order, seeds last; they name a variant of a table."""
        options = changing(f"{key}={value}" for key, value in sorted(self.options.items()))
        return options + ([f"seed={spelt_seeds(self.seeds)}"] if self.seeds is not None else [])


def changing(overrides: Iterable[str]) -> list[str]:
    """Returns those of the overrides that can change a result; folders and numbers of workers cannot."""
    return [override for override in overrides if not _incidental(override.partition("=")[0])]


def _incidental(key: str) -> bool:
    """Whether an option, or every option of a section, is left out of a cell's identity."""
    if key.startswith(PASSED_ON):
        return True
    part, _, name = key.partition(".")
    declared = [fields(schema) for schema in ([SECTIONS[part]] if part in SECTIONS else GROUPS.get(part, {}).values())]
    named = [
        field for one in declared for field in one.values() if field.name == name or (not name and part in SECTIONS)
    ]
    return bool(named) and not any(field.metadata.get("identity", True) for field in named)


def sort(table: Table, overrides: Iterable[str]) -> Given:
    """Sorts a table's command line.

    Raises:
        ConfigError: An override is not of the form KEY=VALUE, or has several values where rows do not vary it.
    """
    options: dict[str, str] = {}
    rows: dict[str, tuple[str, ...]] = {}
    seeds: tuple[int, ...] | None = None
    run = []
    columns: dict[str, tuple[str, ...]] = {}
    spread = {key for column in table.columns.values() for key, _ in column.under}
    for override in overrides:
        key, sign, _ = override.partition("=")
        if not sign or not key or key[0] in "+~":
            raise ConfigError(f"{override}: expected OPTION=VALUE")
        if key.startswith(PASSED_ON):
            run.append(override)
        elif key == "seed":
            seeds = tuple(_seed(text) for text in values(override))
        elif key in table.varied:
            rows[key] = tuple(values(override))
        elif key in spread:
            columns[key] = tuple(values(override))
        elif len(several := values(override)) > 1:
            raise ConfigError(
                f"{override}: {len(several)} values of an option that the rows of table {table.name} do not vary;"
                f" give one (rows vary {', '.join(table.varied)})"
            )
        else:
            options[key] = several[0]
    return Given(options, rows, seeds, tuple(run), columns)


def values(override: str) -> list[str]:
    """``["0", "1"]`` of ``seed=0,1`` or ``seed=range(0,2)``.

    Raises:
        ConfigError: The value is not well-formed.
    """
    text = override.partition("=")[2]
    if not set(text) & set("([{'\"\\"):
        return text.split(",")
    one = parsed(override)
    return list(one.sweep_string_iterator()) if one.is_sweep_override() else [spelt(one.value())]


def _seed(text: str) -> int:
    if not text.strip().isdigit():
        raise ConfigError(f"seed={text}: expected whole numbers from 0 up, such as seed=0,1,2")
    return int(text)
