"""Walks: sets, clips and batches."""
