"""What came out of a table, in half a sentence: titles of sections and the overview are made of it."""

from exp.tables.compare import VERDICTS, Comparison


def claims_counted(comparison: Comparison) -> str:
    """``2 supported, 1 undecided``, counted by claim and column."""
    given = [verdict for checked in comparison.claims for verdict in checked.verdicts.values()]
    return ", ".join(f"{given.count(word)} {word}" for word in ("supported", "refuted", "undecided") if word in given)


def result(comparison: Comparison) -> str:
    """What came out, in half a sentence: by the first column that has noise, against the reference."""
    plan = comparison.plan
    column = next(
        (one for one in plan.table.columns.values() if not one.exact), next(iter(plan.table.columns.values()))
    )
    entries = [comparison.entry(row.row.name, column.name) for row in plan.rows]
    if not any(entry.values for entry in entries):
        return "nothing has run" if all(one.state == "missing" for one in plan.cells) else "no result yet"
    others = [entry for entry in entries if entry.verdict not in ("reference", "missing")]
    parts = [
        f"{word}: {_names([entry.row.row.name for entry in others if entry.verdict == word])}"
        for word in VERDICTS
        if any(entry.verdict == word for entry in others)
    ]
    if not parts:
        return f"{sum(bool(entry.values) for entry in entries)} of {len(entries)} rows measured"
    return f"{'; '.join(parts)} (against {plan.table.reference}, {column.name})"


def _names(rows: list[str]) -> str:
    return ", ".join(rows) if len(rows) <= 2 else f"{len(rows)} rows"
