"""CASIA-B's scores of anybody's features: ``exp score casia_b FEATURES.npz``. Torch-free."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from exp.options.errors import DataError
from exp.tasks.file_score import FileScore
from exp.tasks.gait.metrics.casia_b import KINDS, METRICS, ProtocolError, Report, evaluate, load


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of the command line."""
    parser.add_argument(
        "features", type=Path, help="npz with features (n, c, p), ids, types (such as nm-05) and views (such as 090)"
    )
    parser.add_argument("--metric", choices=METRICS, default="euclidean")
    parser.add_argument("--rounding", action="store_true", help="round each angle pair to two decimals, as published")


def scored(given: argparse.Namespace) -> tuple[dict[str, Any], str]:
    """Returns the scores of a file of features, as plain values and as text.

    Raises:
        DataError: The file cannot be read, or does not fit the protocol.
    """
    try:
        report = evaluate(**load(given.features), metric=given.metric, rounding=given.rounding)
    except ProtocolError as error:
        raise DataError(str(error)) from None
    return as_json(report), as_text(report)


def as_json(report: Report) -> dict[str, Any]:
    """Returns the whole report as plain values, None where there is no number."""
    conditions = {
        name: {
            "views": list(condition.views),
            **{score: condition.scores[score] for score in KINDS},
            "per_view": {score: _plain(condition.per_view[score]) for score in KINDS},
            "matrix": {score: _plain(condition.matrices[score]) for score in KINDS},
        }
        for name, condition in report.conditions.items()
    }
    return {
        "scores": report.scores(),
        "conditions": conditions,
        "cross_view": report.cross,
        "cross_view_conditions": report.cross_conditions,
        "missing": list(report.missing),
    }


def _plain(values: np.ndarray) -> list[Any]:
    return [
        _plain(value) if isinstance(value, np.ndarray) else None if np.isnan(value) else float(value)
        for value in values
    ]


def as_text(report: Report) -> str:
    """Headline, a row an angle, the matrices and the stricter protocol."""
    lines = [f"{'':6}{'rank-1':>8}{'rank-5':>8}{'mAP':>8}{'mINP':>8}   identical views excluded"]
    for name, condition in report.conditions.items():
        lines.append(f"{name.upper():6}" + "".join(f"{condition.scores[score]:8.2f}" for score in KINDS))
    views = next(iter(report.conditions.values())).views
    lines += ["", "rank-1 by probe view", "      " + "".join(f"{view:>8}" for view in views)]
    for name, condition in report.conditions.items():
        lines.append(f"{name.upper():6}" + _row(condition.per_view["r1"]))
    for name, condition in report.conditions.items():
        lines += ["", f"{name.upper()} rank-1, probe view (row) x gallery view (column)"]
        lines.append("      " + "".join(f"{view:>8}" for view in views))
        lines += [f"{view:6}" + _row(row) for view, row in zip(views, condition.matrices["r1"], strict=True)]
    if report.cross:
        lines += ["", "cross-view protocol: nm/bg/cl-01 against nm/bg/cl-02 of all views"]
        for name, scores in (*report.cross_conditions.items(), ("all", report.cross)):
            lines.append(f"{name.upper():6}" + "".join(f"{score:>8} {value:.2f}" for score, value in scores.items()))
    if report.missing:
        lines += ["", f"no probes of {', '.join(name.upper() for name in report.missing)}"]
    return "\n".join(lines)


def _row(values: np.ndarray) -> str:
    return "".join(f"{'-':>8}" if np.isnan(value) else f"{value:8.2f}" for value in values)


SCORES = {"casia_b": FileScore("Scores walks by the CASIA-B protocol.", arguments, scored)}
"""The scores by name, as ``exp score`` finds them."""
