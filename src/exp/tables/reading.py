"""Reads tables from YAML: ``conf/table/NAME.yaml``, or one of the user's in the working directory."""

import functools
import itertools
import math
from pathlib import Path
from typing import Any

from exp.options.compose import conf_dir, conf_dirs
from exp.options.errors import ConfigError, nearest
from exp.tables.spec import OPERATORS, Bound, Choice, Citation, Claim, Column, Number, Row, Table


def names() -> list[str]:
    """All tables, in the order in which they are listed: as ``conf/table/order.txt`` has it, others behind."""
    folder = conf_dir() / "table"
    found = sorted({path.stem for each in conf_dirs() for path in (each / "table").glob("*.yaml")})
    order = folder / "order.txt"
    wanted = order.read_text().split() if order.is_file() else []
    return [name for name in wanted if name in found] + [name for name in found if name not in wanted]


@functools.cache
def load(name: str) -> Table:
    """Reads ``conf/table/NAME.yaml``, or a table of the user's: ``NAME.yaml`` in the working directory.

    Raises:
        ConfigError: There is no such table or its file is malformed.
    """
    import yaml

    places = [*(folder / "table" / f"{name}.yaml" for folder in conf_dirs()), Path(f"{name}.yaml")]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise ConfigError(f"table={name}: no such table; there are {', '.join(names())}{nearest(name, names())}")
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: expected a mapping with title, base, rows, columns")
    return _Reader(name, path, content).table()


class _Reader:
    """Turns a file's content into a table and complains with the file and the place."""

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

    def __init__(self, name: str, path: Path, content: dict[str, Any]) -> None:
        self.name, self.path, self.content = name, path, content

    def table(self) -> Table:
        self._only(self.content, self.KEYS, "")
        for key in ("title", "base", "rows", "columns"):
            if key not in self.content:
                self._fail(f"{key} is missing")
        choices = {key: self._choice(key, value) for key, value in self._mapping("choices").items()}
        base = self._chosen(self._mapping("base"), choices)
        rows = self._rows(choices)
        columns = {key: self._column(key, value) for key, value in self._mapping("columns").items()}
        sources = {key: self._citation(key, value) for key, value in self._mapping("sources").items()}
        reference = str(self.content.get("reference", next(iter(rows))))
        self._known(reference, rows, "reference")
        return Table(
            self.name,
            str(self.content["title"]),
            sources,
            base,
            rows,
            columns,
            tuple(int(seed) for seed in self.content.get("seeds", (0, 1, 2, 3, 4))),
            reference,
            tuple(self._published(rows, columns, sources)),
            tuple(self._claim(one, rows, columns, sources) for one in self.content.get("claims") or ()),
            choices,
            float(self.content.get("tolerance", math.inf)),
            tuple(str(note) for note in self.content.get("notes") or ()),
            {str(key): str(words) for key, words in self._mapping("may_differ").items()},
        )

    def _citation(self, key: str, value: dict[str, Any]) -> Citation:
        self._only(value, ("file", "title", "via", "measured_on", "beyond"), f"sources.{key}: ")
        file, title, via, beyond = (str(value.get(name) or "") for name in ("file", "title", "via", "beyond"))
        return Citation(
            key, file, title, via, self._options(value.get("measured_on"), f"sources.{key}.measured_on"), beyond
        )

    def _options(self, value: Any, where: str) -> dict[str, Any]:
        if not isinstance(value or {}, dict):
            self._fail(f"{where}: expected a mapping of options")
        return {str(key): one for key, one in (value or {}).items()}

    def _rows(self, choices: dict[str, Choice]) -> dict[str, Row]:
        given = self._mapping("rows")
        rows = {}
        if set(given) == {"grid"}:
            grid = {key: list(values) for key, values in given["grid"].items()}
            for combination in itertools.product(*grid.values()):
                name = " ".join(map(str, combination))
                rows[name] = Row(name, self._chosen(dict(zip(grid, combination, strict=True)), choices))
            return rows
        for name, options in given.items():
            options = dict(options or {})
            note, against = (str(options.pop(key, None) or "") for key in ("note", "against"))
            rows[str(name)] = Row(str(name), self._chosen(options, choices), note, against)
        if not rows:
            self._fail("rows: there is none")
        for name, row in rows.items():
            if row.against:
                self._known(row.against, rows, f"rows.{name}.against")
        return rows

    def _chosen(self, options: dict[str, Any], choices: dict[str, Choice]) -> dict[str, Any]:
        """Turns ``best of table NAME`` into a choice of that name."""
        found = {}
        for key, value in options.items():
            if isinstance(value, str) and value.startswith("best of table "):
                choices[key] = Choice(table=value.removeprefix("best of table "), axis=key)
                value = f"{{{key}}}"
            found[str(key)] = value
        return found

    def _choice(self, key: str, value: dict[str, Any]) -> Choice:
        self._only(value, ("table", "axis", "among"), f"choices.{key}: ")
        among = {str(option): str(row) for option, row in (value.get("among") or {}).items()}
        return Choice(str(value.get("table", "")), str(value.get("axis", key)), among)

    def _column(self, name: str, value: dict[str, Any]) -> Column:
        where = f"columns.{name}: "
        known = ("metric", "unit", "better", "chance", "passes", "fails", "quote", "source", "note")
        self._only(value, (*known, "primary", "tolerance", "censored", "counted"), where)
        if "metric" not in value:
            self._fail(f"{where}metric is missing")
        better = value.get("better", "higher")
        if better not in ("higher", "lower"):
            self._fail(f"{where}better is higher or lower, not {better}")
        chance = value.get("chance")
        return Column(
            name,
            str(value["metric"]),
            str(value.get("unit", "")),
            better == "higher",
            None if chance is None else float(chance),
            self._bound(value.get("passes"), where),
            self._bound(value.get("fails"), where),
            str(value.get("quote", "")),
            str(value.get("source", "")),
            str(value.get("note") or ""),
            bool(value.get("primary", False)),
            None if value.get("tolerance") is None else float(value["tolerance"]),
            bool(value.get("censored", False)),
            bool(value.get("counted", False)),
        )

    def _bound(self, text: str | None, where: str) -> Bound | None:
        if text is None:
            return None
        sign, _, value = str(text).partition(" ")
        try:
            return Bound(sign, float(value)) if sign in OPERATORS else self._fail(f"{where}'{text}' is no bound")
        except ValueError:
            return self._fail(f"{where}'{text}' is no bound; write one as '< 0.1'")

    def _published(
        self, rows: dict[str, Row], columns: dict[str, Column], sources: dict[str, Citation]
    ) -> list[Number]:
        found = []
        for row, entries in self._mapping("published").items():
            self._known(row, rows, "published")
            for entry in entries if isinstance(entries, list) else [entries]:
                entry = dict(entry)
                source, quote = str(entry.pop("source", "")), str(entry.pop("quote", ""))
                note, outcome = str(entry.pop("note", None) or ""), entry.pop("outcome", None)
                on = self._options(entry.pop("measured_on", None), f"published.{row}.measured_on")
                self._known(source, sources, f"published.{row}.source")
                if outcome not in (None, "failed"):
                    self._fail(f"published.{row}: outcome is failed or a number a column, not {outcome}")
                values = dict.fromkeys(entry.pop("columns", columns)) if outcome else entry
                for column, value in values.items():
                    self._known(column, columns, f"published.{row}")
                    number = None if value is None else float(value)
                    found.append(Number(str(row), column, number, quote, source, note, on))
        return found

    def _claim(
        self, value: dict[str, Any], rows: dict[str, Row], columns: dict[str, Column], sources: dict[str, Citation]
    ) -> Claim:
        where = f"claims: {value.get('text')}: "
        self._only(value, ("text", "columns", "order", "row", "bound", "quote", "source", "note"), where)
        groups = [group for group in str(value.get("order", "")).split(">") if group.strip()]
        order = tuple(tuple(row.strip() for row in group.split(",")) for group in groups)
        wanted = tuple(str(column) for column in value.get("columns", columns))
        row = str(value.get("row", ""))
        for name in (*itertools.chain(*order), *([row] if row else ())):
            self._known(name, rows, where)
        for name in wanted:
            self._known(name, columns, where)
        if "source" in value:
            self._known(value["source"], sources, where)
        if bool(order) == bool(row) or len(order) == 1:
            self._fail(f"{where}give either order (two rows or more) or row")
        return Claim(
            str(value["text"]),
            wanted,
            order,
            row,
            self._bound(value.get("bound"), where),
            str(value.get("quote", "")),
            str(value.get("source", "")),
            str(value.get("note") or ""),
        )

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self.content.get(key) or {}
        if not isinstance(value, dict):
            self._fail(f"{key}: expected a mapping")
        return value

    def _only(self, value: Any, known: tuple[str, ...], where: str) -> None:
        if not isinstance(value, dict):
            self._fail(f"{where}expected a mapping")
        for key in value:
            if key not in known:
                self._fail(f"{where}{key}: no such key{nearest(key, known)}")

    def _known(self, name: Any, among: dict[str, Any], where: str) -> None:
        if str(name) not in among:
            self._fail(f"{where}: {name} is not one of {', '.join(among)}{nearest(name, among)}")

    def _fail(self, problem: str) -> Any:
        raise ConfigError(f"{self.path}: {problem}")
