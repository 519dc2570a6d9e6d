"""Tables you can run: read one, plan it, compare with what was published, show it. Imports no torch."""
