"""Layers and networks that several tasks share."""
