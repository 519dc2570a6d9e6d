"""The task's networks of images; those it shares with others are in ``exp.layers``."""
