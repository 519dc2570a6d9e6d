"""Draws the pictures of docs/findings.md from the files in results/.

python docs/figures/draw.py [FOLDER]
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "results"

BLUE, RED, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"
"""Told apart without colour vision, after Okabe and Ito; each goes with a marker of its own."""

SETTINGS: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "exp",
    "font.size": 9,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "x",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.titlesize": 9,
    "grid.color": "#d9dee2",
    "ytick.left": False,
    "lines.markersize": 5,
}


def read(name: str) -> Any:
    """Returns a file of results/."""
    return json.loads((RESULTS / name).read_text())


def rows(name: str, metric: str) -> dict[str, Any]:
    """Returns what a table says of one column, by row."""
    return {row["row"]: row for row in read(name)["rows"] if row["metric"] == metric}


def seeds(row: Any) -> list[float]:
    """Returns a row's values in the order of their seeds."""
    return [value for _, value in sorted(row["values"].items())]


def gait() -> Figure:
    """Notebook 000: rank-1 in order and on shuffled frames, of people who differ in tempo alone and of others."""
    ways = {"ordered": BLUE, "shuffled in the test": RED, "shuffled": RED}
    words = ("in order", "shuffled in the test", "shuffled throughout")
    names = ["baseline"] + [f"{net} {way} max" for net in ("convlstm", "partlstm") for way in ways]
    labels = ["no LSTM"] + [f"{net}, {word}" for net in ("ConvLstm", "PartLstm") for word in words]
    colours = [GREY, *ways.values(), *ways.values()]
    figure, panels = canvas(3.3, 2)
    for axes, name, title, chance in (
        (panels[0], "tempo", "People who differ in tempo alone", 8.3),
        (panels[1], "walkers", "Shape and pose differ, too", 6.3),
    ):
        table = rows(f"gait_order/{name}.json", "NM@R1")
        for place, (row, colour) in enumerate(zip(names, colours, strict=True)):
            dots(axes, place, seeds(table[row]), colour, "s" if colour == RED else "o")
        axes.axvline(chance, color=GREY, linestyle=":", linewidth=1)
        axes.text(chance + 1, len(names) - 0.45, f"chance {chance}", color=GREY, fontsize=8, va="center")
        axes.set_title(title, loc="left")
        axes.set_xlim(0, 95)
        axes.set_xlabel("rank-1 (NM, %)")
    name_rows(panels[0], labels)
    return headed(
        figure,
        "000: an LSTM uses the order of the frames where nothing else tells who walks",
        "Generated walkers, three seeds a row (dots) and their mean; 1,200 steps left, 450 right; maximum over steps.",
    )


def lanes() -> Figure:
    """Notebook 001: the loss and F1 of every recipe, one drawn image learnt by heart."""
    labels = {
        "as it stood": "the source's recipe",
        "earlier overfit": "its earlier differences",
        "strategy 1": "its strategy 1",
        "strategy 2": "its strategy 2",
        "strategy 3": "its strategy 3",
        "P5 alone": "P5 alone",
        "begin token a slot": "+ begin token a slot",
        "slot embedding small": "+ slot embedding small",
        "slots by position": "+ slots by position",
        "padding supervised": "+ padding supervised",
        "all corrected": "all corrected",
    }
    mended = ("padding supervised", "all corrected")
    figure, panels = canvas(3.9, 2)
    for axes, metric in zip(panels, ("loss", "F1@50"), strict=True):
        table = rows("lane_criteria/roads_overfit1.json", metric)
        for place, row in enumerate(labels):
            colour, marker = (BLUE, "o") if row in mended else (RED, "s")
            dots(axes, place, seeds(table[row]), colour, marker, digits=3 if metric == "loss" else 0)
    panels[0].set_xscale("log")
    panels[0].set_xlim(0.0015, 2)
    panels[0].set_xticks([0.01, 0.1, 1], ["0.01", "0.1", "1"])
    panels[0].minorticks_off()
    panels[0].axvline(0.1, color=GREY, linestyle=":", linewidth=1)
    panels[0].set_title("Loss; the source asks for less than 0.1", loc="left")
    panels[0].set_xlabel("loss of the last epoch")
    panels[1].set_xlim(-4, 120)
    panels[1].set_xticks([0, 25, 50, 75, 100])
    panels[1].set_title("F1@50 of the lanes that are drawn", loc="left")
    panels[1].set_xlabel("F1@50 (%)")
    name_rows(panels[0], list(labels.values()))
    return headed(
        figure,
        "001: a low loss without lanes, until rows without a point are supervised",
        "One drawn road learnt by heart, 500 steps, narrow net; three seeds a row (dots) and their mean.",
    )


def faces() -> Figure:
    """Notebook 002: accuracy of the three nets on each part of FER2013, beside what the source says."""
    nets = {"cnn": "Net 1", "deepcnn": "Net 2", "resnet_cbam": "Net 3"}
    labels = ["training", "validation (PublicTest)", "test (PrivateTest)", "test, copies left out"]
    claimed = read_claims()
    figure, panels = canvas(2.9, 3)
    for axes, (net, title) in zip(panels, nets.items(), strict=True):
        cells = [json.loads(path.read_text()) for path in sorted((RESULTS / "fer").glob(f"{net}-*.json"))]
        for place, part in enumerate(zip(*[accuracies(cell) for cell in cells], strict=True)):
            dots(axes, place, part, BLUE if place == 0 else GREEN, "o" if place == 0 else "s")
        axes.plot(
            claimed[net], [0.38, 1.38], "D", color=RED, markerfacecolor="none", markersize=6
        )  # clear of the number
        axes.set_title(f"{title}, {len(cells)} seed{'s' * (len(cells) > 1)}", loc="left")
        axes.set_xlim(45, 115)
        axes.set_xticks([50, 60, 70, 80, 90, 100])
        axes.set_xlabel("accuracy (%)")
    name_rows(panels[0], labels)
    return headed(
        figure,
        "002: all three nets know the training faces far better; net 2 is ahead of net 1",
        "FER2013, published recipe in bf16; dots: seeds, number: mean, diamond: the source. Axes begin at 45 %.",
    )


def read_claims() -> dict[str, tuple[float, float]]:
    """Returns the source's training and validation accuracy by net, from the table as it was written."""
    text = (RESULTS / "fer" / "table.md").read_text()
    found: dict[str, list[float]] = {}
    for column in ("train", "val"):
        section = text.partition(f"**{column} (%)")[2].partition("\n**")[0]
        for line in section.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if cells[0] in ("cnn", "deepcnn", "resnet_cbam"):
                found.setdefault(cells[0], []).append(float(cells[-2]))
    return {net: (train, val) for net, (train, val) in found.items()}


def accuracies(cell: Any) -> tuple[float, float, float, float]:
    """Returns a cell's accuracy on training as logged in the last epoch, validation, test, and test without copies."""
    return (
        cell["fer"]["fit"]["curve"][-1]["train_top1"],
        cell["best"]["metrics"]["top1"],
        cell["test"]["top1"],
        cell["test"]["top1_unique"],
    )


def step2() -> Figure:
    """Notebook 003: what leaving out or changing a part of the step-2 block does to accuracy."""
    figure, panels = canvas(4.4, 2)
    for axes, name, title in (
        (panels[0], "quick", "Digits, 12 epochs"),
        (panels[1], "cifar100", "CIFAR-100, one epoch"),
    ):
        table = {row: entry for row, entry in rows(f"step2/{name}.json", "top1").items() if entry["interval"]}
        for place, entry in enumerate(table.values()):
            interval(axes, place, entry)
        axes.set_title(title, loc="left")
        axes.set_xlim(-4.5, 4.5)
        axes.set_xlabel("less the whole block (points)")
        name_rows(axes, list(table))
    panels[1].tick_params(labelleft=False)
    return headed(
        figure,
        "003: no change to the step-2 block shows a difference in accuracy",
        "Top-1 of a narrow ResNet-18, three seeds; 95 % interval of each row alone. Hollow: open after correction.",
    )


def blocks() -> Figure:
    """Notebook 004: every row of the digits tables less its reference."""
    tables = {
        "gate": ("gate/table.json", "gate, less sigmoid"),
        "activation": ("activation/table.json", "activation, less sigmoid"),
        "pool": ("pool/table.json", "pooling, less avg+max"),
        "kernel": ("kernel/table.json", "kernel, less 7"),
        "reduction": ("reduction/table.json", "reduction, less 16"),
        "fusion": ("fusion/table.json", "fusion, less the mean"),
        "ca_axes": ("ca_axes/table.json", "coordinate attention, less hw"),
        "placement": ("placement/table.json", "place, less branch end"),
        "modules": ("modules/table.json", "module, less triplet"),
    }
    figure, (axes,) = canvas(9.6, 1)
    axes.set_xlim(-4, 4)
    labels: list[str] = []
    heads: list[int] = []
    for name, title in tables.values():
        heads.append(len(labels))
        labels.append(title)
        for row, entry in rows(name, "top1").items():
            if entry["interval"]:
                interval(axes, len(labels), entry)
                labels.append(row)
    name_rows(axes, labels)
    for place in heads:
        axes.get_yticklabels()[place].set_weight("bold")
    axes.set_xlabel("top-1 less that of the table's reference (points)")
    return headed(
        figure,
        f"004: {len(labels) - len(heads)} rows beside their references: two are shown to be worse, one to be equal",
        "Digits, narrow ResNet-18, 12 epochs, five seeds; 95 % interval of each row alone. Filled: the verdict\n"
        "holds after correction. Rows that are the reference's own network here are left out; tripletca with other\n"
        "statistics or planes is less tripletca hw.",
    )


def demos() -> Figure:
    """Notebook 004: the scores that it prints itself, beside those of the same settings at two depths."""
    labels = {
        "gelu": "triplet, GELU",
        "leaky_relu": "triplet, leaky ReLU",
        "relu+median": "triplet, ReLU, median too",
        "tripletca": "TripletCA",
        "ca": "coordinate attention",
    }
    deep = {"leaky_relu": "triplet", "ca": "ca"}
    figure, panels = canvas(2.7, 2)
    for epoch, axes in enumerate(panels, start=1):
        table = rows("demo/table.json", f"top1 epoch {epoch}")
        for place, row in enumerate(labels):
            runs = seeds(table[row])
            axes.plot(runs, [place + 0.12] * len(runs), "o", color=BLUE, markeredgewidth=0, alpha=0.8)
            if row in deep:
                axes.plot(tested(deep[row], epoch), place + 0.12, "s", color=GREEN, markeredgewidth=0)
            if table[row]["published"] is not None:
                axes.plot(table[row]["published"], place - 0.18, "D", color=RED, markerfacecolor="none", markersize=6)
        axes.set_title(f"After epoch {epoch}", loc="left")
        axes.set_xlim(8, 42)
        axes.set_xlabel("top-1 (%)")
    name_rows(panels[0], list(labels.values()))
    return headed(
        figure,
        "004: the notebook's own scores come back at depth 18 rather than 50",
        "Real CIFAR-100, the notebook's settings, bf16; one run each, GELU two. Dot: ResNet-18; square: ResNet-50;\n"
        "diamond: the notebook, which leaves one score blank. Chance is 1 %.",
    )


def tested(block: str, epoch: int) -> float:
    """Returns the top-1 of the ResNet-50 with a block after an epoch."""
    (path,) = (RESULTS / "demo" / "resnet50").glob(f"cells/attention/resnet50-{block}-*/metrics.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return next(line["top1"] for line in lines if line["split"] == "test" and line["epoch"] == epoch - 1)


def canvas(height: float, panels: int) -> tuple[Figure, Sequence[Axes]]:
    """Returns a white figure of 700 pixels with panels beside each other, rows running down."""
    figure = Figure(figsize=(7.3, height), facecolor="white")
    figure.set_layout_engine("constrained", wspace=0.04)
    axes = [figure.add_subplot(1, panels, place + 1) for place in range(panels)]
    for other in axes[1:]:
        other.tick_params(labelleft=False)
    return figure, axes


def name_rows(axes: Axes, labels: Sequence[str]) -> None:
    """Names the rows of a picture, the first on top; panels beside it get the same places."""
    assert axes.figure is not None
    for other in axes.figure.axes:
        other.set_yticks(range(len(labels)), labels)
        other.set_ylim(len(labels) - 0.3, -0.7)


def dots(axes: Axes, place: int, values: Sequence[float], colour: str, marker: str, digits: int = 1) -> None:
    """Draws a row's seeds, a little apart so that equal ones are seen, and writes their mean behind them."""
    apart = [0.0] if len(values) == 1 else [-0.2, 0.0, 0.2]
    axes.plot(values, [place + shift for shift in apart], marker, color=colour, alpha=0.8, markeredgewidth=0)
    mean = sum(values) / len(values)
    axes.annotate(
        f"{mean:.{digits}f}",
        (max(values), place),
        xytext=(7, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def interval(axes: Axes, place: int, entry: Any) -> None:
    """Draws a difference with its interval; one that leaves the picture is cut at its edge and written out."""
    low, high = entry["interval"]
    decided = entry["verdict"] in ("better", "worse") or entry["verdict"].startswith("the same within")
    colour = RED if entry["verdict"] == "worse" else BLUE
    axes.axvline(0, color=GREY, linewidth=0.8)
    axes.plot([low, high], [place, place], color=colour, linewidth=1.4)
    axes.plot(
        entry["difference"],
        place,
        "s" if entry["verdict"] == "worse" else "o",
        color=colour,
        markerfacecolor=colour if decided else "white",
    )
    if low < axes.get_xlim()[0]:
        axes.annotate(
            f"{entry['difference']:.1f} ({low:.1f} to {high:.1f})",
            (0.02, place),
            xycoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
        )


def headed(figure: Figure, title: str, caption: str) -> Figure:
    """Writes what a picture shows above it, and what it was made from below."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, weight="bold")
    figure.supxlabel(caption, x=0.01, ha="left", fontsize=8, color=GREY)
    return figure


PICTURES = {"gait": gait, "lanes": lanes, "faces": faces, "step2": step2, "blocks": blocks, "demos": demos}


def draw(folder: Path) -> None:
    """Writes every picture as SVG."""
    with matplotlib.rc_context(SETTINGS):
        for name, picture in PICTURES.items():
            picture().savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
