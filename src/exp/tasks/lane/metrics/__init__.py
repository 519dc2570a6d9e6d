"""Scores of lanes: functions of numpy arrays, and metrics of torchmetrics made of them."""

PUBLIC = {
    "CULaneF1": "exp.tasks.lane.metrics.lane_metrics",
    "LaneZigzag": "exp.tasks.lane.metrics.lane_metrics",
    "TuSimpleAccuracy": "exp.tasks.lane.metrics.lane_metrics",
}
"""Metrics that ``exp.metrics`` offers, and the modules that have them, which load torch."""
