"""A server of the live pages in this process."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

from exp.options.compose import STANDARD
from exp.watch.folder import Folder
from exp.watch.live import Live, Tables
from exp.watch.web import WatchServer


@contextlib.contextmanager
def serving(root: Path, token: str = "", host: str = "127.0.0.1") -> Iterator[WatchServer]:
    """Serves a folder of cells for a while, on a free port."""
    live = Live(Folder(root), "multirun", Tables(root, STANDARD))
    server = WatchServer(live, host, 0, token)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    live.start()
    thread.start()
    try:
        yield server
    finally:
        live.stop()
        server.shutdown()
        thread.join()
        server.server_close()
        live.join()
