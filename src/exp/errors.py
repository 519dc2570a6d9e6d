"""Errors that end in one line and exit code 2; here, so that telling them apart loads nothing."""


class ConfigError(Exception):
    """A choice or option that cannot stand; the message is one line: what, where, what to do."""


class DataError(Exception):
    """A data set is missing or damaged; the message is one line: what, where, and what to do."""


class CellFailed(Exception):
    """A cell has not ended well and whoever asked for it does not go on; exit code 1."""
