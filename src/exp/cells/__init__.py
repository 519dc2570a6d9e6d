"""A cell on disk: its directory, lock, provenance and files, written whole."""
