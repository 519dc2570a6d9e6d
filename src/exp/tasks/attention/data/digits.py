"""Handwritten digits that come with scikit-learn: real images, no download, for quick runs and tests.

1,797 images of 8x8 in 16 grey levels, from the test part of "Optical Recognition of Handwritten Digits"
(Alpaydin and Kaynak, 1998, UCI repository). The file is read directly: importing scikit-learn would cost seconds.
"""

import gzip
import importlib.util
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exp.data import fingerprint
from exp.data.source import DataError, Split
from exp.tasks.attention.options import DigitsOptions

if TYPE_CHECKING:
    import numpy as np

_SIDE = 8
_LEVELS = 16
_COUNT = 1797
TEST_FRACTION = 0.2
"""Share of each class in the test part."""


class Digits:
    """The digits, with a fixed stratified fifth as the test part; the rest is training and validation part.

    Args:
        options: See ``DigitsOptions``.
        given: Options by name, in place of ``options``.
    """

    num_classes = 10

    def __init__(self, options: DigitsOptions | None = None, **given: Any) -> None:
        self.options = DigitsOptions.of(options, given)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, size, size)."""
        return 1, self.options.size, self.options.size

    @property
    def class_names(self) -> list[str]:
        """The ten digits."""
        return [str(digit) for digit in range(self.num_classes)]

    def check(self) -> str:
        """See ``Source.check``; the fingerprint covers the file's contents."""
        return fingerprint.of_files([self._file()])

    def load(self) -> dict[str, Split]:
        """See ``Source.load``; images are uint8 (N, 1, size, size), the 17 levels spread over 0..255."""
        import numpy as np

        from exp.data.partition import hold_out

        path = self._file()
        try:
            text = gzip.decompress(path.read_bytes()).decode("ascii")
            table = np.array(text.replace("\n", ",").rstrip(",").split(","), dtype=np.int64)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise DataError(f"digits: {path} is damaged ({error}); install scikit-learn again") from None
        if table.size != _COUNT * (_SIDE * _SIDE + 1):
            raise DataError(f"digits: {path} holds {table.size} numbers, not the known table; reinstall scikit-learn")
        table = table.reshape(_COUNT, _SIDE * _SIDE + 1)
        labels = table[:, -1].copy()
        pixels = np.rint(table[:, :-1] * (255 / _LEVELS)).astype(np.uint8).reshape(-1, _SIDE, _SIDE)
        images = _enlarge(pixels, self.options.size)[:, None]
        rest, test = hold_out(labels, TEST_FRACTION, "digits")
        train, val = hold_out(labels[rest], self.options.val_fraction, "digits")
        parts = {"train": rest[train], "val": rest[val], "test": test}
        return {part: Split(images[rows], labels[rows]) for part, rows in parts.items() if len(rows)}

    @staticmethod
    def _file() -> Path:
        spec = importlib.util.find_spec("sklearn")
        if spec is None or spec.origin is None:
            raise DataError("digits: they come with scikit-learn, which is not installed; pip install scikit-learn")
        path = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
        if not path.is_file():
            raise DataError(f"digits: {path} is missing; install scikit-learn again")
        return path


def _enlarge(images: "np.ndarray", size: int) -> "np.ndarray":
    """Returns images (N, 8, 8) as (N, size, size), both uint8."""
    if size == images.shape[-1]:
        return images
    import cv2
    import numpy as np

    return np.stack([cv2.resize(image, (size, size), interpolation=cv2.INTER_LINEAR) for image in images])
