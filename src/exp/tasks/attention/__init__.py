"""Image classification with attention blocks (notebooks 003 and 004)."""
