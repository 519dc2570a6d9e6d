"""Losses of tokens and cells."""
