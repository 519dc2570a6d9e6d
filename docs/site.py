"""What the documentation's site has beside docs/: the README as its first page, results, a reference of all options.

A hook of mkdocs; ``make docs`` builds the site.
"""

import re
from pathlib import Path
from typing import Any

from exp.options.catalog import GROUPS, SECTIONS, TASKS
from exp.options.fields import default_of, describe, docs, fields, hints, summary

ROOT = Path(__file__).parents[1]
RESULT = re.compile(r"\]\(\.\./results/(?:(\w+)/README\.md)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are made, and the pictures of results."""
    from mkdocs.structure.files import File

    for name, text in pages().items():
        files.append(File.generated(config, name, content=text))
    for path in sorted((ROOT / "results").rglob("*.svg")):
        files.append(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Returns a page whose links to results, which lie beside docs/, lead to the pages that are made of them."""
    return RESULT.sub(lambda match: f"](results/{match[1] or 'index'}.md)", markdown)


def pages() -> dict[str, str]:
    """Returns the text of every page that is made, by its path in the site."""
    made = {"index.md": moved((ROOT / "README.md").read_text(), "."), "options.md": options_page()}
    listed = []
    for path in sorted((ROOT / "results").glob("*/README.md")):
        name = path.parent.name
        text = path.read_text()
        made[f"results/{name}.md"] = moved(text, f"results/{name}")
        title = re.search(r"^# (.+)", text, flags=re.MULTILINE)
        listed.append(f"- [{title[1] if title else name}]({name}.md)")
    made["results/index.md"] = "# Results\n\n" + "\n".join(listed) + "\n"
    return made


def moved(text: str, folder: str) -> str:
    """Returns a page with the links that lead from its folder of the repository changed to lead from its place here."""
    up = "../" * (folder.count("/"))

    def link(match: re.Match[str]) -> str:
        target, _, anchor = match[2].partition("#")
        if "://" in target or not target:
            return match[0]
        path = (ROOT / folder / target).resolve().relative_to(ROOT)
        if path.parts[0] == "docs":
            target = up + str(path.relative_to("docs"))
        elif path.parts[0] == "results" and path.name == "README.md":
            target = f"{up}results/{path.parent.name}.md"
        elif path.parts[0] == "results" and path.suffix == ".svg":
            target = f"{up}{path}"
        elif path.parts == ("results",):
            target = f"{up}results/index.md"
        else:
            return match[1]  # a file of the repository alone
        return f"[{match[1]}]({target}{'#' + anchor if anchor else ''})"

    return re.sub(r"\[([^\]]+)\]\(([^)\s]+)\)", link, text)


def options_page() -> str:
    """Returns the reference of all options: what every run has, and each choice of each group."""
    lines = ["# Options", "", "Made from the options classes; `exp list GROUP NAME` prints the same.", ""]
    for name, schema in SECTIONS.items():
        lines += table(f"## {name}", schema)
    for group, known in GROUPS.items():
        lines += [f"## {group}", ""]
        for name, schema in known.items():
            lines += table(f"### {group}={name}", schema)
            if group in ("model", "data"):
                tasks = [task.name for task in TASKS.values() if task.kind == schema.kind]
                lines += [f"For task={', '.join(tasks)}.", ""]
    return "\n".join(lines)


def table(title: str, schema: Any) -> list[str]:
    """Returns the options of a class as a table of Markdown."""
    lines = [title, "", summary(schema), ""]
    known = [name for name in fields(schema) if name != "name"]
    if not known:
        return [*lines, "No options.", ""]
    lines += ["| option | default | type | meaning |", "|---|---|---|---|"]
    for name in known:
        default = default_of(fields(schema)[name])
        cells = [f"`{name}`", f"`{'null' if default is None else default}`", describe(hints(schema)[name])]
        row = [text.replace("|", " \\| ") for text in [*cells, docs(schema).get(name, "")]]
        lines.append(f"| {' | '.join(row)} |")
    return [*lines, ""]
