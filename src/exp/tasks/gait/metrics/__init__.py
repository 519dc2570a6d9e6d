"""CASIA-B's scores: functions of numpy arrays, and metrics of torchmetrics made of them."""

PUBLIC = {
    "CasiaBRank1": "exp.tasks.gait.metrics.retrieval",
    "CasiaBScores": "exp.tasks.gait.metrics.retrieval",
}
"""Metrics that ``exp.metrics`` offers, and the modules that have them, which load torch."""
