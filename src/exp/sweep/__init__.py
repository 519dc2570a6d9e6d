"""Sweeps: expand a grid, check every cell, skip what is done, run the rest one process a cell."""
