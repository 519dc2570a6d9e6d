"""The callback of ours that Hydra calls before it makes the folder of a run."""

import sys
from typing import Any

from hydra.experimental.callback import Callback

from exp.options.errors import ConfigError, shown
from exp.options.places import refuse_moved


class RefuseMoved(Callback):
    """Refuses in a configuration file what `Flags` refuses on the command line, before Hydra makes a folder."""

    def on_run_start(self, config: Any, **_: Any) -> None:
        """Ends the command with exit code 2 and one line.

        Raises:
            SystemExit: One of ``PLACES`` is not as it is here; Hydra would make a warning of any other error.
        """
        try:
            refuse_moved(config.hydra)
        except ConfigError as error:
            print(f"exp: {shown(error)}", file=sys.stderr)
            raise SystemExit(2) from None
