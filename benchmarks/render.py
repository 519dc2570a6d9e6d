"""Writes the rows of ``benchmarks/results/*.json`` into docs/performance.md, between its two marks.

``python benchmarks/render.py`` changes the document; a test holds that it is current.
"""

import json
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
BEGIN, END = "<!-- measured: written by benchmarks/render.py -->", "<!-- end of measured -->"


def tables() -> str:
    """Returns the results of every machine as Markdown."""
    parts = []
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        result = json.loads(path.read_text())
        parts.append(f"### {result['cpu']}, {result['units']}, torch {result['torch']}\n")
        parts.append("| what | against | of | ratio | limit | reached | ours : theirs |\n|---|---|---|---|---|---|---|")
        for rows in result["rows"].values():
            for row in rows:
                reached = "void" if not row["equal"] else "yes" if row["ratio"] <= row["limit"] else "**no**"
                cells = [row[key] for key in ("what", "against", "of", "ratio", "limit")] + [reached, row["detail"]]
                parts.append("| " + " | ".join(map(str, cells)) + " |")
        parts.append("")
    return "\n".join(parts)


def rendered(text: str) -> str:
    """Returns the document with its tables replaced by the current ones."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(DOCUMENT.read_text()))
