"""A language model of lanes (notebook 001)."""
