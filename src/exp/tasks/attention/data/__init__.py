"""Readers of the task's data sets."""
