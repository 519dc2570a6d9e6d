"""Facial expression recognition (notebook 002)."""
