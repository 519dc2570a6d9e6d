"""JPEG decoders side by side: from a file's bytes to a square uint8 image, as the image folder reader needs it.

``python benchmarks/decode.py [FOLDER]`` prints how many images a second a core decodes, and ratios to OpenCV's full
decoding, all of the same run, in which the ways take turns. Images are those below FOLDER, or generated ones of
ImageNet's usual 500x375 pixels and about 110 kB. Pillow, simplejpeg and PyTurboJPEG are measured where they can be
imported; ``exp`` needs none of them. The pictures of all ways have to be alike; otherwise the comparison is void and
the exit code is 1.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from exp.data.decode import read_image

Way = Callable[[Path, int], np.ndarray]
"""A file and a side -> uint8 (3, side, side), RGB."""

ALIKE = 4.0
"""Largest mean difference of two ways' pictures, shrunk to a sixteenth so that filters no longer matter."""


def square(image: np.ndarray, size: int, order: int = 1) -> np.ndarray:
    """Returns the centre square of a uint8 (H, W, 3) image, resized as in exp, as (3, size, size).

    Args:
        image: The image.
        size: Side of the result.
        order: 1 to keep the order of the colours, -1 to reverse it.
    """
    height, width = image.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    image = image[top : top + short, left : left + short]
    if short != size:
        how = cv2.INTER_AREA if short > 2 * size else cv2.INTER_LINEAR
        image = cv2.resize(image, (size, size), interpolation=how)
    return np.ascontiguousarray(image[:, :, ::order].transpose(2, 0, 1))


def opencv(path: Path, size: int) -> np.ndarray:
    """Decoded whole, then resized."""
    return square(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), size, -1)


def opencv_area(path: Path, size: int) -> np.ndarray:
    """Decoded whole, resized by exact areas, the square cut out of that."""
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    factor = size / min(image.shape[:2])
    shape = round(image.shape[1] * factor), round(image.shape[0] * factor)
    return square(cv2.resize(image, shape, interpolation=cv2.INTER_AREA), size, -1)


def exp(path: Path, size: int) -> np.ndarray:
    """What exp does: OpenCV at a half, a quarter or an eighth where that suffices, the file checked for being whole."""
    return read_image(path, size)


def pillow(path: Path, size: int) -> np.ndarray:
    """Pillow, whole."""
    return _pillow(path, size, draft=False)


def pillow_draft(path: Path, size: int) -> np.ndarray:
    """Pillow with draft: a half, a quarter or an eighth where that suffices."""
    return _pillow(path, size, draft=True)


def _pillow(path: Path, size: int, *, draft: bool) -> np.ndarray:
    from PIL import Image

    with Image.open(path) as image:
        if draft:
            image.draft("RGB", (size, size))
        decoded = image.convert("RGB")
    return square(np.asarray(decoded), size)


def simplejpeg(path: Path, size: int) -> np.ndarray:
    """simplejpeg, whole."""
    import simplejpeg as library

    return square(library.decode_jpeg(path.read_bytes(), "RGB"), size)


def simplejpeg_scaled(path: Path, size: int) -> np.ndarray:
    """simplejpeg, scaled by eighths to at least the size while decoding."""
    import simplejpeg as library

    return square(library.decode_jpeg(path.read_bytes(), "RGB", min_height=size, min_width=size), size)


def pyturbojpeg() -> Way:
    """Returns PyTurboJPEG's way, scaled by eighths while decoding; it needs the libturbojpeg of the system."""
    import turbojpeg

    library = turbojpeg.TurboJPEG()
    factors = sorted(((n, d) for n, d in library.scaling_factors if n <= d), key=lambda pair: pair[0] / pair[1])

    def decode(path: Path, size: int) -> np.ndarray:
        data = path.read_bytes()
        width, height, _, _ = library.decode_header(data)
        factor = next(pair for pair in factors if min(width, height) * pair[0] // pair[1] >= size or pair[0] == pair[1])
        image = library.decode(data, pixel_format=turbojpeg.TJPF_RGB, scaling_factor=factor)
        return square(image, size)

    return decode


def ways() -> dict[str, Way]:
    """Returns the ways that can be measured here, by name."""
    known: dict[str, Way] = {"opencv, whole": opencv, "opencv, areas": opencv_area, "exp (opencv, reduced)": exp}
    if importlib.util.find_spec("PIL"):
        known |= {"pillow": pillow, "pillow, draft": pillow_draft}
    if importlib.util.find_spec("simplejpeg"):
        known |= {"simplejpeg": simplejpeg, "simplejpeg, eighths": simplejpeg_scaled}
    if importlib.util.find_spec("turbojpeg"):
        try:
            known["PyTurboJPEG, eighths"] = pyturbojpeg()
        except RuntimeError as error:
            print(f"PyTurboJPEG left out: {str(error).splitlines()[0]}")
    return known


def difference(way: Way, path: Path, size: int) -> float:
    """Returns the mean difference of a way's picture from OpenCV's, both shrunk."""
    one, other = (
        cv2.resize(made(path, size).transpose(1, 2, 0), (size // 16, size // 16), interpolation=cv2.INTER_AREA)
        for made in (way, opencv)
    )
    return float(np.abs(one.astype(float) - other).mean())


def generate(folder: Path, count: int) -> list[Path]:
    """Writes JPEGs with about the spectrum of photographs: noise whose amplitude falls with its frequency."""
    rng = np.random.RandomState(0)
    paths = []
    for number in range(count):
        height, width = (375, 500) if number % 4 else (500, 375)
        falling = (np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]) + 0.5 / width) ** -1.3
        grey, *colours = (np.fft.irfft2(np.fft.rfft2(rng.randn(height, width)) * falling) for _ in range(3))
        image = np.stack([grey, grey + 0.3 * colours[0], grey + 0.3 * colours[1]], axis=-1)
        image = 128 + 48 * (image - image.mean()) / image.std()
        paths.append(folder / f"{number}.jpg")
        cv2.imwrite(str(paths[-1]), image.clip(0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 95])
    return paths


def measure(tried: dict[str, Way], paths: list[Path], size: int, rounds: int) -> dict[str, list[float]]:
    """Returns each way's seconds of CPU time for every round over all files; the ways take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in tried}
    for _ in range(rounds):
        for name, way in tried.items():
            began = time.process_time()
            for path in paths:
                way(path, size)
            seconds[name].append(time.process_time() - began)
    return seconds


def main() -> int:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", nargs="?", help="images to decode; generated ones where not given")
    parser.add_argument("--size", type=int, default=256, help="side of the result")
    parser.add_argument("--images", type=int, default=100, help="how many")
    parser.add_argument("--rounds", type=int, default=5, help="how often")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as made:
        if given.folder:
            files = sorted(path for path in Path(given.folder).rglob("*") if path.suffix.lower() in (".jpg", ".jpeg"))
            paths = files[:: max(1, len(files) // given.images)][: given.images]
        else:
            paths = generate(Path(made), given.images)
        if not paths:
            print(f"no .jpg below {given.folder}", file=sys.stderr)
            return 2
        tried = ways()
        worst = {name: max(difference(way, path, given.size) for path in paths[:20]) for name, way in tried.items()}
        seconds = measure(tried, paths, given.size, given.rounds)
        sides = [cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE).shape for path in paths]
        kilobytes = sum(path.stat().st_size for path in paths) / len(paths) / 1000
    height, width = (statistics.median(values) for values in zip(*sides, strict=True))
    print(f"{len(paths)} JPEGs of {width:.0f}x{height:.0f} pixels, {kilobytes:.0f} kB, to {given.size}x{given.size}")
    print(
        f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores; CPU time, median of {given.rounds}\n"
    )
    print(f"{'':24}{'images/s/core':>14}{'ratio':>8}{'difference':>12}")
    whole = seconds["opencv, whole"]
    for name, taken in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(whole, taken, strict=True))
        print(f"{name:24}{len(paths) / statistics.median(taken):14.0f}{ratio:8.2f}{worst[name]:12.2f}")
    void = [name for name, difference in worst.items() if difference > ALIKE]
    if void:
        print(f"\nvoid: {', '.join(void)} gives other pictures", file=sys.stderr)
    return 1 if void else 0


if __name__ == "__main__":
    sys.exit(main())
