"""Scores, as pure functions and device-side sums."""
