"""Triplet and cross-entropy losses."""
