"""Choices in Hydra's store. A node is made when it is asked for, since few of more than a hundred ever are."""

from typing import Any

from hydra.core.config_store import ConfigNode, ConfigStore
from omegaconf import OmegaConf


class PlainNode(ConfigNode):
    """A choice that is a mapping of plain values.

    Args:
        group: The group that it is a choice of.
        name: Its name.
        options: The mapping.
    """

    def __init__(self, group: str, name: str, options: dict[str, Any]) -> None:
        self.name, self.group, self.package, self.provider = f"{name}.yaml", group, None, None
        self._options = options

    def __getattr__(self, attribute: str) -> Any:
        if attribute != "node" or "_options" not in vars(self):
            raise AttributeError(attribute)
        return OmegaConf.create(self._options)


def store_plain(group: str, name: str, options: dict[str, Any]) -> None:
    """Makes a choice known to Hydra, in place of one that has its name."""
    place = ConfigStore.instance().repo
    for part in group.split("/"):
        place = place.setdefault(part, {})
    place[f"{name}.yaml"] = PlainNode(group, name, options)
