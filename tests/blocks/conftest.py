"""Blocks are tested on small maps, in the form that is taken on large ones; networks are tested with the other."""

import pytest


@pytest.fixture(autouse=True)
def as_on_large_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("exp.layers.stored.FEWEST", 0)
