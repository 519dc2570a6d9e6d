"""Faces: sets, splits and copies."""
