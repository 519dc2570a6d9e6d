"""Gait recognition on silhouettes (notebook 000)."""
