"""Turns the content of a table's file into a table; every complaint names the file and the line."""

import itertools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from exp.options.errors import ConfigError, nearest
from exp.tables.located import Located
from exp.tables.spec import OPERATORS, Bound, Choice, Citation, Claim, Column, Number, Row, Table, Under

KEYS = (
    "title",
    "sources",
    "base",
    "rows",
    "columns",
    "seeds",
    "reference",
    "published",
    "claims",
    "choices",
    "may_differ",
    "tolerance",
    "notes",
)
COLUMN_KEYS = (
    *("metric", "unit", "better", "chance", "passes", "fails", "quote", "source", "note", "primary", "tolerance"),
    *("censored", "counted", "todo", "per", "under"),
)
CITATION_KEYS = ("file", "title", "via", "measured_on", "beyond")
CLAIM_KEYS = ("text", "columns", "order", "row", "bound", "quote", "source", "note")
PLACES = ("test", "best", "train", "last", "result", "epochN")
"""Where a metric may be; see ``Column.metric``."""

NUMBER = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+")
WITH_SPREAD = re.compile(r"\s*(-?[\d.]+)\s*(?:±|\+/-|\+-|\\pm)\s*([\d.]+)\s*")
BEST_OF = "best of table "


def numbers_in(text: str) -> list[float]:
    """The numbers that a text holds, without their signs; a comma before three digits parts thousands."""
    return [float(number.replace(",", "")) for number in NUMBER.findall(text)]


class Parser:
    """Reads one table.

    Args:
        name: What the table is called.
        file: Its file's content, with lines.
        own: Whether it is the user's own.
    """

    def __init__(self, name: str, file: Located, *, own: bool) -> None:
        self._name, self._file, self._own = name, file, own
        self._content: dict[str, Any] = file.content

    def table(self) -> Table:
        """Returns the table.

        Raises:
            ConfigError: It is malformed.
        """
        self._only(self._content, KEYS)
        for key in ("title", "base", "rows", "columns"):
            if key not in self._content:
                self._fail((), f"{key} is missing")
        choices = {key: self._choice(key, value) for key, value in self._mapping("choices").items()}
        base = self._taken_over(self._mapping("base"), choices)
        rows = self._rows(choices)
        columns = {str(key): self._column(str(key), value) for key, value in self._mapping("columns").items()}
        sources = {str(key): self._citation(str(key), value) for key, value in self._mapping("sources").items()}
        for row, column in itertools.product(rows.values(), columns.values()):
            for key in sorted(row.overrides.keys() & dict(column.under).keys()):
                self._fail(("rows", row.name, key), f"column {column.name} sets {key} too; leave it to one of them")
        reference = str(self._content.get("reference", next(iter(rows))))
        self._known(("reference",), reference, rows)
        for column in columns.values():
            if column.source:
                self._known(("columns", column.name, "source"), column.source, sources)
        return Table(
            self._name,
            str(self._content["title"]),
            sources,
            base,
            rows,
            columns,
            self._seeds(),
            reference,
            tuple(self._published(rows, columns, sources)),
            tuple(self._claim(n, one, rows, columns, sources) for n, one in enumerate(self._list("claims"))),
            choices,
            self._number(("tolerance",), self._content.get("tolerance", math.inf)),
            tuple(str(note) for note in self._list("notes")),
            {str(key): str(words) for key, words in self._mapping("may_differ").items()},
            self._own,
            self._file,
        )

    def _seeds(self) -> tuple[int, ...]:
        seeds = self._content.get("seeds", [0, 1, 2, 3, 4])
        whole = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
        if not whole or not seeds or len(set(seeds)) < len(seeds):
            self._fail(("seeds",), f"expected a list of different whole numbers such as [0, 1, 2], not {_shown(seeds)}")
        return tuple(seeds)

    def _citation(self, key: str, value: Any) -> Citation:
        if not isinstance(value, dict):
            self._fail(("sources", key), f'expected {{file: "...", title: "..."}}, not {_shown(value)}')
        self._only(value, CITATION_KEYS, "sources", key)
        file, title, via, beyond = (str(value.get(name) or "") for name in ("file", "title", "via", "beyond"))
        on = self._options(("sources", key, "measured_on"), value.get("measured_on"))
        return Citation(key, file, title, via, on, beyond)

    def _options(self, place: tuple[str, ...], value: Any) -> dict[str, Any]:
        if not isinstance(value or {}, dict):
            self._fail(place, f"expected options such as {{att: ca}}, not {_shown(value)}")
        return {str(key): given for key, given in (value or {}).items()}

    def _rows(self, choices: dict[str, Choice]) -> dict[str, Row]:
        given = self._mapping("rows")
        if not given:
            self._fail(("rows",), "there is none")
        if set(given) == {"grid"}:
            return self._grid(given["grid"], choices)
        rows = {}
        for key, value in given.items():
            name = str(key)
            if key is None or isinstance(key, bool):
                self._fail(("rows",), f"a name is read as {name.lower()}; write it in quotes")
            if value is not None and not isinstance(value, dict):
                self._fail(("rows", name), f"expected options such as {{att: ca}}, not {_shown(value)}")
            options = dict(value or {})
            note, against, todo = (str(options.pop(key, None) or "") for key in ("note", "against", "todo"))
            rows[name] = Row(name, self._taken_over(options, choices), note, against, todo)
        for name, row in rows.items():
            if row.against:
                self._known(("rows", name, "against"), row.against, rows)
        return rows

    def _grid(self, given: Any, choices: dict[str, Choice]) -> dict[str, Row]:
        place = ("rows", "grid")
        if not isinstance(given, dict) or not given:
            self._fail(place, f"expected options with their values such as {{att: [none, ca]}}, not {_shown(given)}")
        for key, values in given.items():
            if not isinstance(values, list) or not values:
                self._fail((*place, str(key)), f"expected a list of values, not {_shown(values)}")
        rows = {}
        for combination in itertools.product(*given.values()):
            name = " ".join(map(str, combination))
            if name in rows:
                self._fail(place, f"a value is there twice: {name}")
            rows[name] = Row(name, self._taken_over(dict(zip(given, combination, strict=True)), choices))
        return rows

    def _taken_over(self, options: dict[str, Any], choices: dict[str, Choice]) -> dict[str, Any]:
        """Turns ``best of table NAME`` into a choice of that name."""
        plain = {}
        for key, value in options.items():
            if isinstance(value, str) and value.startswith(BEST_OF):
                choices[key] = Choice(table=value.removeprefix(BEST_OF), axis=key)
                value = f"{{{key}}}"
            plain[str(key)] = value
        return plain

    def _choice(self, key: str, value: Any) -> Choice:
        self._only(value, ("table", "axis", "among"), "choices", key)
        among = {str(option): str(row) for option, row in (value.get("among") or {}).items()}
        return Choice(str(value.get("table", "")), str(value.get("axis", key)), among)

    def _column(self, name: str, value: Any) -> Column:
        place = ("columns", name)
        self._only(value, COLUMN_KEYS, *place)
        todo = str(value.get("todo") or "")
        if "metric" not in value and not todo:
            self._fail(place, "metric is missing")
        better = value.get("better", "higher")
        if better not in ("higher", "lower"):
            self._fail((*place, "better"), f"better is higher or lower, not {better}")
        chance = value.get("chance")
        return Column(
            name,
            self._metric(place, value["metric"]) if "metric" in value else "",
            str(value.get("unit", "")),
            better == "higher",
            None if chance is None else self._number((*place, "chance"), chance),
            self._bound((*place, "passes"), value.get("passes")),
            self._bound((*place, "fails"), value.get("fails")),
            str(value.get("quote", "")),
            str(value.get("source", "")),
            str(value.get("note") or ""),
            bool(value.get("primary", False)),
            None if value.get("tolerance") is None else self._number((*place, "tolerance"), value["tolerance"]),
            bool(value.get("censored", False)),
            bool(value.get("counted", False)),
            todo,
            self._per(place, value.get("per", 1)),
            self._under((*place, "under"), value.get("under")),
        )

    def _under(self, place: tuple[str, ...], value: Any) -> Under:
        if value is not None and (not isinstance(value, dict) or not value):
            self._fail(place, f"expected options of the column's cells such as {{data: cifar100}}, not {_shown(value)}")
        options = self._options(place, value)
        for key, one in options.items():
            if key in ("task", "seed"):
                self._fail((*place, key), f"a column cannot set {key}")
            if not isinstance(one, (str, int, float)):
                self._fail((*place, key), f"expected one value, not {_shown(one)}")
        return tuple(sorted(options.items()))

    def _per(self, place: tuple[str, ...], value: Any) -> float:
        per = self._number((*place, "per"), value)
        if per <= 0:
            self._fail((*place, "per"), f"expected a number above 0 that values are divided by, not {per:g}")
        return per

    def _metric(self, place: tuple[str, ...], value: Any) -> str:
        where, _, name = str(value).partition("/")
        if not name or not (where in PLACES[:-1] or re.fullmatch(r"epoch[1-9]\d*", where)):
            listed = ", ".join(f"{one}/NAME" for one in PLACES)
            near = nearest(where, PLACES) if name else ""
            self._fail((*place, "metric"), f"metric: {_shown(value)} says not where it is; write one of {listed}{near}")
        return str(value)

    def _bound(self, place: tuple[str, ...], text: Any) -> Bound | None:
        if text is None:
            return None
        sign, _, value = str(text).partition(" ")
        try:
            if sign in OPERATORS:
                return Bound(sign, float(value))
        except ValueError:
            pass
        self._fail(place, f"'{text}' is no bound; write one as '< 0.1'")

    def _published(
        self, rows: Mapping[str, Row], columns: Mapping[str, Column], sources: Mapping[str, Citation]
    ) -> list[Number]:
        numbers: dict[tuple[str, str], Number] = {}
        for key, entries in self._mapping("published").items():
            row = str(key)
            self._known(("published", row), row, rows)
            listed = isinstance(entries, list)
            for place, entry in enumerate(entries if listed else [entries]):
                where = ("published", row, *([str(place)] if listed else []))
                for number in self._printed(row, where, entry, columns, sources):
                    if (row, number.column) in numbers:
                        self._fail((*where, number.column), f"{number.column} is there twice")
                    numbers[row, number.column] = number
        return list(numbers.values())

    def _printed(
        self,
        row: str,
        place: tuple[str, ...],
        entry: Any,
        columns: Mapping[str, Column],
        sources: Mapping[str, Citation],
    ) -> Iterable[Number]:
        """Returns the numbers of one quote."""
        if not isinstance(entry, dict):
            self._fail(place, f'expected {{source: ..., quote: "...", COLUMN: number}}, not {_shown(entry)}')
        entry = dict(entry)
        if "source" not in entry:
            self._fail((*place, "source"), f"source is missing; it is one of {', '.join(sources)}")
        source, quote = str(entry.pop("source")), str(entry.pop("quote", None) or "")
        self._known((*place, "source"), source, sources)
        note, outcome = str(entry.pop("note", None) or ""), entry.pop("outcome", None)
        on = self._options((*place, "measured_on"), entry.pop("measured_on", None))
        if outcome not in (None, "failed"):
            self._fail((*place, "outcome"), f"outcome is failed or a number a column, not {outcome}")
        for key, given in (dict.fromkeys(entry.pop("columns", columns)) if outcome else entry).items():
            column = str(key)
            self._known((*place, column), column, columns)
            value, sd, n = (None, None, None) if given is None else self._value((*place, column), given)
            number = Number(row, column, value, quote, source, note, on, sd, n)
            self._in_quote((*place, column), number)
            yield number

    def _value(self, place: tuple[str, ...], given: Any) -> tuple[float, float | None, int | None]:
        """Returns value, standard deviation and number of runs."""
        if not isinstance(given, dict):
            return self._number(place, given), None, None
        self._only(given, ("value", "sd", "n"), *place)
        if "value" not in given:
            self._fail(place, "value is missing; write {value: 77.3, sd: 0.2, n: 5}, sd and n as far as they are given")
        sd, n = given.get("sd"), given.get("n")
        if n is not None and (type(n) is not int or n < 1):
            self._fail((*place, "n"), f"expected the number of runs, not {_shown(n)}")
        return (
            self._number((*place, "value"), given["value"]),
            None if sd is None else self._number((*place, "sd"), sd),
            n,
        )

    def _in_quote(self, place: tuple[str, ...], number: Number) -> None:
        """Refuses a number that its quote does not hold."""
        if not number.quote:
            return
        there = numbers_in(number.quote)
        for value in (number.value, number.sd):
            if value is not None and not any(math.isclose(abs(value), other, abs_tol=1e-12) for other in there):
                self._fail(place, f'{value:.10g} is not in the quote "{number.quote}"')

    def _claim(
        self,
        number: int,
        value: Any,
        rows: Mapping[str, Row],
        columns: Mapping[str, Column],
        sources: Mapping[str, Citation],
    ) -> Claim:
        place = ("claims", str(number))
        self._only(value, CLAIM_KEYS, *place)
        if "text" not in value:
            self._fail(place, "text is missing")
        groups = [group for group in str(value.get("order", "")).split(">") if group.strip()]
        order = tuple(tuple(row.strip() for row in group.split(",")) for group in groups)
        given = value.get("columns", list(columns))
        if not isinstance(given, list):
            self._fail((*place, "columns"), f"expected a list of columns, not {_shown(given)}")
        wanted, row = tuple(map(str, given)), str(value.get("row", ""))
        for name in (*itertools.chain(*order), *([row] if row else ())):
            self._known(place, name, rows)
        for name in wanted:
            self._known((*place, "columns"), name, columns)
        if "source" in value:
            self._known((*place, "source"), value["source"], sources)
        if bool(order) == bool(row) or len(order) == 1:
            self._fail(place, f"{value['text']}: give either order (two rows or more) or row")
        return Claim(
            str(value["text"]),
            wanted,
            order,
            row,
            self._bound((*place, "bound"), value.get("bound")),
            str(value.get("quote", "")),
            str(value.get("source", "")),
            str(value.get("note") or ""),
        )

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self._content.get(key) or {}
        if not isinstance(value, dict):
            self._fail((key,), f"expected a mapping, not {_shown(value)}")
        return value

    def _list(self, key: str) -> list[Any]:
        value = self._content.get(key) or []
        if not isinstance(value, list):
            self._fail((key,), f"expected a list, not {_shown(value)}")
        return value

    def _number(self, place: tuple[str, ...], value: Any) -> float:
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return float(value)
        spread = WITH_SPREAD.fullmatch(str(value))
        how = f"; write {{value: {spread[1]}, sd: {spread[2]}}}, and n where it is known" if spread else ""
        self._fail(place, f"{_shown(value)} is not a number{how}")

    def _only(self, value: Any, known: Iterable[str], *place: str) -> None:
        if not isinstance(value, dict):
            self._fail(place, f"expected a mapping, not {_shown(value)}")
        for key in value:
            if key not in known:
                self._fail((*place, str(key)), f"no such key{nearest(key, known)}")

    def _known(self, place: tuple[str, ...], name: Any, among: Mapping[str, Any]) -> None:
        if str(name) not in among:
            self._fail(place, f"{name} is not one of {', '.join(among)}{nearest(name, among)}")

    def _fail(self, place: tuple[str, ...], problem: str) -> NoReturn:
        inside = f"{'.'.join(place)}: " if place else ""
        raise ConfigError(f"{self._file.at(*place)}: {inside}{problem}")


def _shown(value: Any) -> str:
    """A value in a complaint, cut where it is long."""
    text = " ".join(("null" if value is None else str(value)).split())
    kind = "the list " if isinstance(value, list) else "'" if isinstance(value, str) else ""
    end = "'" if isinstance(value, str) else ""
    return f"{kind}{text if len(text) <= 40 else text[:37] + '...'}{end}"
