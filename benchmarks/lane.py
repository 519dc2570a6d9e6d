"""CULane's IoU against drawing both lanes of each pair, as a row; ``benchmarks/culane.py`` has more ways and options.

``python benchmarks/lane.py`` takes generated roads; IoUs have to be the same bit for bit.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from culane import by_pair, images, ours, segments
from measure import Row, compared, main


def rows() -> Iterator[Row]:
    """Measures."""
    cv2.setNumThreads(0)
    work = images(None, 8)
    drawn = by_pair(segments)
    equal = all(np.array_equal(ours(*one), drawn(*one)) for one in work)
    mine, theirs = (lambda way=way: [way(*one) for one in work] for way in (ours, drawn))
    yield compared("CULane's IoU, 8 images", "drawing both lanes of each pair", mine, theirs, 0.04, equal)


if __name__ == "__main__":
    main(rows, __doc__)
