"""YAML read by the parser that is written in C, which takes a tenth of the time, with all else as OmegaConf has it."""

import functools
from typing import Any


def read_by_c() -> None:
    """Lets OmegaConf, and so Hydra, read YAML by the C parser where PyYAML was built with it."""
    import yaml
    from omegaconf import _utils

    if hasattr(yaml, "CParser") and not isinstance(_utils.get_yaml_loader, functools.partial):
        _utils.get_yaml_loader = functools.partial(_loader, _utils.get_yaml_loader())


@functools.cache
def _loader(theirs: Any) -> Any:
    """Returns OmegaConf's loader on the C parser; what is no YAML is complained of in the other parser's words."""
    from yaml import CParser, YAMLError

    class Loader(CParser, theirs):  # type: ignore[misc]
        def __init__(self, stream: Any) -> None:
            self._name = getattr(stream, "name", "<file>")
            self._text = stream.read()
            theirs.__init__(self, "")
            CParser.__init__(self, self._text)

        def get_single_data(self) -> Any:
            try:
                return super().get_single_data()
            except YAMLError:
                plain = theirs(self._text)
                plain.name = self._name
                return plain.get_single_data()

    return Loader
