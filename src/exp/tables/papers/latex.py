"""Tables of LaTeX documents, read with pylatexenc: booktabs, multirow, multicolumn, resizebox, notes, macros."""

import functools
import re
from collections.abc import Sequence
from typing import Any

from pylatexenc.latexwalker import LatexWalker, LatexWalkerError, get_default_latex_context_db
from pylatexenc.macrospec import EnvironmentSpec, MacroSpec

from exp.options.errors import ConfigError
from exp.tables.papers.printed import PrintedCell, PrintedTable, tidy

TABULARS = ("tabular", "tabular*", "tabularx", "tabulary", "longtable", "tabu", "array", "NiceTabular", "xltabular")
FLOATS = ("table", "table*", "sidewaystable", "sidewaystable*", "wraptable", "longtable", "SCtable", "threeparttable")
RULE = re.compile(
    r"\\(?:toprule|bottomrule|hline|Xhline|specialrule|addlinespace|cline|cmidrule|arrayrulecolor|noalign|hdashline"
    r"|cdashline|dashline|morecmidrules|rowcolor|midrule|endhead|endfirsthead|endfoot|endlastfoot)(?![A-Za-z])"
    r"(?:\s*\[[^\]]*\])*(?:(?<=cmidrule)\s*\([^)]*\))?(?:\s*(?:\[[^\]]*\])?\{[^{}]*\})*"
)
BARE_RULES = (
    "toprule",
    "midrule",
    "bottomrule",
    "hline",
    "hdashline",
    "endhead",
    "endfirsthead",
    "endfoot",
    "endlastfoot",
)
"""Rules without arguments; braces after them belong to the table."""

DROPPED = (
    *("cite", "citep", "citet", "citealp", "ref", "autoref", "cref", "eqref", "label", "footnote"),
    *("footnotemark", "tnote", "footnotetext", "vspace", "hspace", "phantom", "hphantom", "vphantom"),
    *("cellcolor", "rowcolor", "color", "rule", "raisebox", "rotatebox", "setlength", "fontsize"),
    *("arraystretch", "dag", "dagger", "ddag", "ddagger", "ast", "star", "textdagger"),
    *("textasteriskcentered", "S", "P", "cellspace", "columncolor"),
)
"""Macros that print nothing of a number: references, notes, spacing."""

LETTERS = {
    "pm": "±",
    "times": "×",
    "uparrow": "↑",
    "downarrow": "↓",
    "rightarrow": "→",
    "to": "→",
    "checkmark": "✓",
    "cmark": "✓",
    "xmark": "✗",
    "textpm": "±",
    "textuparrow": "↑",
    "textdownarrow": "↓",
    "sim": "~",
    "approx": "≈",
    "%": "%",
    "&": "&",
    "#": "#",
    "_": "_",
    "$": "$",
    "{": "{",
    "}": "}",
    "-": "",
    ",": " ",
    ";": " ",
    "!": "",
    "quad": " ",
    "qquad": " ",
    " ": " ",
    "textasciitilde": "~",
    "textbackslash": "\\",
    "alpha": "α",
    "beta": "β",
    "gamma": "γ",
    "lambda": "λ",
    "mu": "μ",
    "sigma": "σ",
    "tau": "τ",
    "theta": "θ",
    "Delta": "Δ",
    "infty": "∞",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textasciicircum": "^",
    "cdot": "·",
    "ldots": "…",
    "leq": "≤",
    "geq": "≥",
    "ell": "ℓ",
    "textquotedbl": '"',
    "dots": "…",
    "&amp;": "&",
}
BOLD = ("textbf", "mathbf", "boldsymbol", "bm", "bold", "bfseries", "bf", "fontseries", "best", "pmb")
UNDERLINED = ("underline", "uline", "ul", "second", "underbar")


def read_latex(text: str) -> list[PrintedTable]:
    """Returns the tables of a document, in its order.

    Raises:
        ConfigError: It cannot be read.
    """
    source = _expanded(_without_comments(text))
    tables: list[PrintedTable] = []
    try:
        nodes, _, _ = LatexWalker(source, latex_context=_context(), tolerant_parsing=True).get_latex_nodes()
        _collect(nodes, source, tables, None)
    except LatexWalkerError as error:
        raise ConfigError(f"LaTeX that cannot be read: {tidy(str(error))}") from error
    return [table for table in tables if table.rows]


@functools.cache
def _context() -> Any:
    """What the macros around tables take as arguments."""
    context = get_default_latex_context_db()
    macros = {"multirow": "[{[{[{", "multicolumn": "{{{", "makecell": "*[{", "shortstack": "[{", "resizebox": "*{{{"}
    macros |= {"scalebox": "{[{", "textcolor": "[{{", "cellcolor": "[{", "tnote": "{", "color": "[{", "adjustbox": "{{"}
    macros |= {"footnotemark": "[", "footnote": "[{", "num": "[{", "SI": "[{[{", "thead": "[{", "rotatebox": "[{{"}
    macros |= {
        "cite": "*[[{",
        "citep": "*[[{",
        "citet": "*[[{",
        "caption": "[{",
        "label": "{",
        "ref": "{",
        "href": "{{",
    }
    macros |= {"textbf": "{", "mathbf": "{", "underline": "{", "uline": "{", "ul": "{", "bm": "{", "boldsymbol": "{"}
    macros |= {"hspace": "*{", "vspace": "*{", "phantom": "{", "rule": "[{{", "raisebox": "{[[{", "setlength": "{{"}
    macros |= {"colorbox": "{{", "fcolorbox": "{{{", "fontsize": "{{", "textsuperscript": "{", "textsubscript": "{"}
    macros |= {
        "autoref": "{",
        "cref": "{",
        "eqref": "{",
        "citealp": "*[[{",
        "parbox": "[[[{{",
        "makebox": "[[{",
        "mbox": "{",
    }
    environments = {
        "tabular": "[{",
        "tabular*": "{[{",
        "tabularx": "{[{",
        "tabulary": "{{",
        "longtable": "[{",
        "tabu": "{",
    }
    environments |= {"table": "[", "table*": "[", "adjustbox": "{", "NiceTabular": "[{", "xltabular": "{[{"}
    context.add_context_category(
        "tables",
        prepend=True,
        macros=[MacroSpec(name, arguments) for name, arguments in macros.items()],
        environments=[EnvironmentSpec(name, arguments) for name, arguments in environments.items()],
    )
    return context


def _without_comments(text: str) -> str:
    return re.sub(r"(?<!\\)%.*?(?:\n[ \t]*|$)", "", text)


def _expanded(text: str) -> str:
    """Replaces the document's own macros by what they stand for."""
    defined: dict[str, tuple[int, str]] = {}
    pattern = re.compile(
        r"\\(?:(?:re)?newcommand|providecommand|DeclareRobustCommand)\*?\s*\{?\\([A-Za-z]+)\}?\s*(?:\[(\d)\])?\s*"
        r"(?=\{)|\\def\s*\\([A-Za-z]+)((?:#\d)*)\s*(?=\{)"
    )
    place = 0
    kept = []
    while found := pattern.search(text, place):
        kept.append(text[place : found.start()])
        body, place = _group(text, found.end())
        name = found[1] or found[3]
        arguments = int(found[2] or 0) if found[1] else len(found[4] or "") // 2
        defined[name] = (arguments, body)
    text = "".join(kept) + text[place:]
    for _ in range(5):
        before = text
        for name, (arguments, body) in defined.items():
            text = _replaced(text, name, arguments, body)
        if text == before:
            break
    return text


def _replaced(text: str, name: str, arguments: int, body: str) -> str:
    pattern = re.compile(rf"\\{name}(?![A-Za-z])\s*(?:\{{\}})?" if not arguments else rf"\\{name}(?![A-Za-z])\s*")
    parts, place = [], 0
    while found := pattern.search(text, place):
        parts.append(text[place : found.start()])
        place, filled = found.end(), body
        for number in range(1, arguments + 1):
            if place >= len(text) or text[place] != "{":
                break
            given, place = _group(text, place)
            filled = filled.replace(f"#{number}", given)
        parts.append(f"{{{filled}}}" if "&" not in filled and "\\\\" not in filled else filled)
    return "".join(parts) + text[place:]


def _group(text: str, start: int) -> tuple[str, int]:
    """Returns what a brace at ``start`` opens, and where it goes on behind."""
    depth = 0
    for place in range(start, len(text)):
        if text[place] in "{}" and (place == 0 or text[place - 1] != "\\"):
            depth += 1 if text[place] == "{" else -1
            if depth == 0:
                return text[start + 1 : place], place + 1
    return text[start + 1 :], len(text)


def _collect(nodes: Sequence[Any], source: str, tables: list[PrintedTable], around: Any) -> None:
    """Finds tabulars at any depth; a caption is that of the float around."""
    for node in nodes or ():
        if node is None:
            continue
        name = getattr(node, "environmentname", None)
        if name in TABULARS:
            tables.append(_table(node, source, around if around is not None else node))
            continue
        inner = node if name in FLOATS and name != "threeparttable" else around
        _collect(getattr(node, "nodelist", None) or (), source, tables, inner)
        arguments = getattr(node, "nodeargd", None)
        if name is None and arguments is not None:
            _collect(arguments.argnlist or (), source, tables, around)


def _table(node: Any, source: str, around: Any) -> PrintedTable:
    body = node.nodelist
    start, end = (body[0].pos, body[-1].pos + body[-1].len) if body else (0, 0)
    caption = _argument(around, "caption") or _argument(node, "caption")
    label = _argument(around, "label")
    rows, quotes, heads = _rows(source[start:end])
    return PrintedTable(rows, quotes, heads, tidy(_shown(caption).text), _verbatim(label))


def _argument(node: Any, macro: str) -> Any:
    """Returns the last argument of the first macro of a name inside a node."""
    for one in getattr(node, "nodelist", None) or ():
        if getattr(one, "macroname", None) == macro and one.nodeargd and one.nodeargd.argnlist:
            return one.nodeargd.argnlist[-1]
        inner = _argument(one, macro)
        if inner is not None:
            return inner
    return None


def _verbatim(node: Any) -> str:
    return "" if node is None else node.latex_verbatim().strip("{}")


def _rows(body: str) -> tuple[list[list[PrintedCell]], list[str], int | None]:
    """Returns the cells of a tabular's body, each row's text, and the number of rows above its first inner rule."""
    body = re.sub(r"\\caption\*?\s*(?:\[[^\]]*\])?(?=\{)", r"\\exptablecaption", body)
    while "\\exptablecaption" in body:
        at = body.index("\\exptablecaption")
        _, after = _group(body, at + len("\\exptablecaption"))
        body = body[:at] + body[after:].lstrip().removeprefix("\\\\")
    body = RULE.sub(lambda rule: _rule(rule[0]), body)
    rows: list[list[PrintedCell]] = []
    quotes: list[str] = []
    heads = None
    for line in _split(body, r"\\"):
        if "\x01" in line and rows and heads is None:
            heads = len(rows)
        line = re.sub(r"\s*\x01\s*", " ", line)
        line = re.sub(r"^\s*\*?\s*\[[^\]&]*(?:pt|em|ex|mm|cm|in)\]", "", line)
        if not line.strip():
            continue
        rows.append([_cell(text) for text in _split(line, "&")])
        quotes.append(tidy(line))
    return rows, quotes, heads


def _rule(text: str) -> str:
    """A mark in place of a rule; braces that are no argument of it stay."""
    name = re.match(r"\\([A-Za-z]+)", text)
    assert name is not None
    rest = text[name.end() :] if name[1] in BARE_RULES and "{" in text else ""
    inner = name[1] in ("midrule", "hline", "endhead", "endfirsthead")
    return (" \x01 " if inner else " ") + rest


def _split(text: str, at: str) -> list[str]:
    """Splits outside of braces and of inner environments."""
    parts, depth, begun, place, start = [], 0, 0, 0, 0
    while place < len(text):
        if text.startswith("\\begin{", place):
            begun += 1
        elif text.startswith("\\end{", place):
            begun -= 1
        if at == r"\\" and depth == 0 and begun <= 0 and text.startswith("\\tabularnewline", place):
            parts.append(text[start:place])
            place = start = place + len("\\tabularnewline")
            continue
        if depth == 0 and begun <= 0 and text.startswith(at, place):
            parts.append(text[start:place])
            place = start = place + len(at)
            continue
        if text[place] == "\\":
            place += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        place += 1
    return [*parts, text[start:]]


def _cell(text: str) -> PrintedCell:
    nodes, _, _ = LatexWalker(text.strip(), latex_context=_context(), tolerant_parsing=True).get_latex_nodes()
    shown = _shown(nodes)
    return PrintedCell(tidy(shown.text), shown.bold, shown.underlined, shown.columns, shown.rows)


def _shown(node: Any) -> PrintedCell:
    """What a node, or a list of nodes, prints."""
    if node is None:
        return PrintedCell("")
    if isinstance(node, (list, tuple)):
        return _sequence(node)
    if hasattr(node, "chars"):
        return PrintedCell(node.chars)
    if hasattr(node, "macroname"):
        return _macro(node)
    if hasattr(node, "specials_chars"):
        return PrintedCell({"~": " ", "---": "-", "--": "-", "&": " "}.get(node.specials_chars, node.specials_chars))
    return _sequence(getattr(node, "nodelist", None) or ())


def _sequence(nodes: Sequence[Any]) -> PrintedCell:
    text, bold, underlined, columns, rows = "", False, False, 1, 1
    for node in nodes:
        one = _shown(node)
        raised = text.endswith("^") and not hasattr(node, "chars")
        lowered = text.endswith("_") and not hasattr(node, "chars")
        if raised or lowered:
            text = text[:-1]
            keep = "±" in one.text or (lowered and not raised)
            text += (" " if "±" in one.text else "") + (one.text if keep else "")
        else:
            text += one.text
        bold, underlined = bold or one.bold, underlined or one.underlined
        columns, rows = max(columns, one.columns), max(rows, one.rows)
    text = re.sub(r"\^(?:[*†‡§¶]|[a-z])(?=\s|$)|[*†‡§¶]+(?=\s|$)", "", text)
    return PrintedCell(text, bold, underlined, columns, rows)


def _macro(node: Any) -> PrintedCell:
    name = node.macroname
    arguments = [one for one in (node.nodeargd.argnlist if node.nodeargd else ()) or () if one is not None]
    if name in DROPPED or name == "textsuperscript":
        return PrintedCell("")
    if name in LETTERS:
        return PrintedCell(LETTERS[name])
    if name == "\\":
        return PrintedCell(" ")
    shown = _shown(arguments[-1]) if arguments else PrintedCell("")
    bold, underlined = shown.bold or name in BOLD, shown.underlined or name in UNDERLINED
    columns, rows = shown.columns, shown.rows
    if name == "multicolumn" and arguments:
        columns = _count(arguments[0])
    if name == "multirow" and arguments:
        numbers = [_count(one) for one in arguments if _shown(one).text.strip().lstrip("-").isdigit()]
        rows = numbers[0] if numbers else 1
    return PrintedCell(shown.text, bold, underlined, columns, rows)


def _count(node: Any) -> int:
    digits = _shown(node).text.strip().lstrip("-")
    return int(digits) if digits.isdigit() else 1
