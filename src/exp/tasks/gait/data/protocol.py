"""Whether walks can be scored by CASIA-B's protocol, known from their labels before anything is trained."""

import logging
from collections.abc import Sequence

from exp.data.source import DataError
from exp.tasks.gait.metrics.casia_b import GALLERY, PROBES

_log = logging.getLogger(__name__)


def require_protocol(split: str, types: Sequence[str], views: Sequence[str]) -> None:
    """Refuses a part that the protocol cannot score, and says of which walks its mean score is made.

    Args:
        split: The part, for messages.
        types: Each walk's kind, such as nm-05.
        views: Each walk's angle, such as 090.

    Raises:
        DataError: There is no gallery, no probe, or a condition's probes have no gallery walk from another angle.
    """
    known = set(types)
    probes = {kind for kinds in PROBES.values() for kind in kinds}
    for what, wanted in (("gallery", set(GALLERY)), ("probe", probes)):
        if not known & wanted:
            raise DataError(f"{split}: no {what} walk among {len(types)} clips; it needs {', '.join(sorted(wanted))}")
    if len(set(views)) < 2:
        raise DataError(f"{split}: all walks are from one angle, and pairs of the same angle are left out")
    pairs = list(zip(types, views, strict=True))
    gallery = {view for kind, view in pairs if kind in GALLERY}
    for name, kinds in PROBES.items():
        angles = {view for kind, view in pairs if kind in kinds}
        if len(angles | gallery) == 1:
            raise DataError(
                f"{split}: {name.upper()} walks and the gallery are from angle {gallery.pop()} alone, and pairs of the"
                " same angle are left out"
            )
    lacking = [name.upper() for name, kinds in PROBES.items() if not known & set(kinds)]
    if lacking:
        there = [name.upper() for name in PROBES if name.upper() not in lacking]
        _log.warning("%s: no %s walks; mean_r1 is the mean of %s", split, " or ".join(lacking), ", ".join(there))
