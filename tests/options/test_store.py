import copy

import pytest
from hydra.core.config_store import ConfigStore

from exp.options import store


def test_a_choice_is_made_when_it_is_asked_for_and_its_own_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    known = ConfigStore.instance()
    monkeypatch.setattr(known, "repo", {})
    store.store_plain("schema/kind", "one", {"name": "one", "size": None})
    assert "node" not in vars(known._load("schema/kind/one.yaml"))
    first, second = known.load("schema/kind/one.yaml"), known.load("schema/kind/one.yaml")
    assert first.node == {"name": "one", "size": None}
    first.node.size = 3
    assert second.node.size is None
    assert (first.name, first.group, first.package) == ("one.yaml", "schema/kind", None)
    store.store_plain("schema/kind", "one", {"name": "one"})
    assert known.load("schema/kind/one.yaml").node == {"name": "one"}
    assert copy.copy(first).node.size == 3
    with pytest.raises(AttributeError):
        _ = first.other  # type: ignore[attr-defined]
