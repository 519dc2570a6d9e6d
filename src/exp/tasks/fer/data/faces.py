"""Drawn faces: a surrogate for FER2013 that needs no download.

48x48 grey, seven expressions as unequally frequent as FER2013's. A face is drawn from numbers: who it is (shape, skin,
hair, brows, glasses, beard, and a resting look of its own), what it expresses and how strongly, and how it was taken
(turn of the head, light, grain, focus, something in front of it). An expression moves brows, eyes, nose and mouth from
the resting look, as the action units of Ekman and Friesen describe it; faint ones look like neutral or one another.
No person occurs in two parts. Figures measured on these faces say nothing about real ones.
"""

import hashlib
import json
from typing import Any

import numpy as np

from exp.cells.counted import counted
from exp.data.cache import cache_folder, cached_array
from exp.data.source import Split
from exp.tasks.fer.data.expression import EXPRESSIONS, SIDE, ExpressionSplit
from exp.tasks.fer.options import FacesOptions

SHARES = (0.139, 0.0152, 0.1427, 0.2513, 0.1682, 0.1105, 0.1731)
"""Part of each expression in FER2013's training part."""

_FORMAT = 1  # to be raised whenever the same options would give other faces
_CHUNK = 500
_PERSON = 5  # faces a person has
_NUMBERS = 40  # drawn for each person and each picture; more than are used

# Moves of an expression at full strength, in the order of EXPRESSIONS. Brows: inner end up, outer end up, both up.
# Eyes: open. Nose: wrinkled. Mouth: corners up, open, wide, upper lip up, lips pressed.
_MOVES = {
    "inner": (-1.0, -0.5, 0.9, 0.0, 1.1, 0.2, 0.0),
    "outer": (0.3, -0.2, 0.0, 0.1, -0.5, 0.2, 0.0),
    "brows": (-0.7, -0.5, 0.6, 0.1, 0.0, 1.1, 0.0),
    "eyes": (0.2, -0.6, 0.8, -0.4, -0.5, 1.0, 0.0),
    "wrinkle": (0.35, 1.1, 0.0, 0.1, 0.0, 0.0, 0.0),
    "corners": (-0.5, -0.6, -0.4, 1.2, -1.0, 0.0, 0.0),
    "open": (0.15, 0.2, 0.45, 0.4, 0.0, 1.1, 0.0),
    "wide": (0.1, -0.1, 0.5, 0.7, -0.2, -0.5, 0.0),
    "upper_lip": (0.1, 1.0, 0.1, 0.3, 0.0, 0.0, 0.0),
    "pressed": (0.8, 0.1, 0.0, 0.0, 0.3, 0.0, 0.1),
}


class Faces:
    """Reader of the drawn faces.

    Args:
        options: See ``FacesOptions``.
        given: Options by name, instead of ``options``.
    """

    def __init__(self, options: FacesOptions | None = None, **given: Any) -> None:
        self.options = FacesOptions.of(options, given)

    @property
    def sizes(self) -> dict[str, int]:
        """Number of faces in each part."""
        return {"train": self.options.train, "val": self.options.held, "test": self.options.held}

    @property
    def num_classes(self) -> int:
        """Number of expressions, 7."""
        return len(EXPRESSIONS)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of a face: (1, 48, 48)."""
        return 1, SIDE, SIDE

    @property
    def class_names(self) -> list[str]:
        """FER2013's names, in the order of the class numbers."""
        return list(EXPRESSIONS)

    def check(self) -> str:
        """Returns the fingerprint, see ``Source.check``; it covers the options, from which the faces follow."""
        options = {"format": _FORMAT, "noise": self.options.noise, "wrong": self.options.wrong, **self.sizes}
        return hashlib.sha256(json.dumps(options, sort_keys=True).encode()).hexdigest()[:16]

    def load(self) -> dict[str, Split]:
        """Returns the parts, see ``Source.load``: ``ExpressionSplit``s without copies, drawn once a machine."""
        parts: dict[str, Split] = {}
        for number, (name, size) in enumerate(self.sizes.items()):
            random = np.random.RandomState(7919 * number + 17)  # numpy keeps its stream for good
            shown = _expressions(size, random)
            labels = _mislabelled(shown, self.options.wrong, random)

            def fill(array: np.ndarray, shown: np.ndarray = shown, random: np.random.RandomState = random) -> None:
                array[:] = draw_faces(shown, self.options.noise, random)

            path = cache_folder() / "faces" / f"{self.check()}-{name}.npy"
            images = np.array(cached_array(path, (size, SIDE, SIDE), fill))
            parts[name] = ExpressionSplit(images[:, None], labels, np.zeros(size, dtype=np.uint8))
        return parts


def _expressions(size: int, random: np.random.RandomState) -> np.ndarray:
    """Returns expressions, int64 (size,): each in its share and at least once, in random order."""
    counts = np.maximum(1, np.floor(np.array(SHARES) * size).astype(int))
    counts[int(np.argmax(SHARES))] += size - counts.sum()
    return random.permutation(np.repeat(np.arange(len(SHARES)), counts)).astype(np.int64)


def _mislabelled(shown: np.ndarray, wrong: float, random: np.random.RandomState) -> np.ndarray:
    """Returns the expressions with a part of them replaced by others, drawn by their shares."""
    others = random.choice(len(SHARES), len(shown), p=np.array(SHARES) / sum(SHARES))
    return np.where(random.rand(len(shown)) < wrong, others, shown).astype(np.int64)


def draw_faces(expressions: np.ndarray, noise: float, random: np.random.RandomState) -> np.ndarray:
    """Draws faces.

    Args:
        expressions: int64 (N,).
        noise: See ``FacesOptions``.
        random: Source of all random numbers.

    Returns:
        uint8 (N, 48, 48).
    """
    people = -(-len(expressions) // _PERSON)
    looks = random.randn(people, _NUMBERS).astype(np.float32)[np.arange(len(expressions)) % people]
    takes = random.randn(len(expressions), _NUMBERS).astype(np.float32)
    images = np.empty((len(expressions), SIDE, SIDE), dtype=np.uint8)
    chunks = range(0, len(expressions), _CHUNK)
    for start in counted(chunks, "drawing faces", len(expressions), each=_CHUNK):
        rows = slice(start, start + _CHUNK)
        speckle = random.randn(len(expressions[rows]), SIDE, SIDE).astype(np.float32)
        images[rows] = _Canvas(expressions[rows], looks[rows], takes[rows], speckle, noise).picture()
    return images


class _Canvas:
    """Some faces at once: every number has the shape (n, 1, 1), every picture (n, 48, 48)."""

    def __init__(
        self, expressions: np.ndarray, looks: np.ndarray, takes: np.ndarray, speckle: np.ndarray, noise: float
    ) -> None:
        self.noise = np.float32(0.7 * noise)  # so that at 1 the accuracies of notebook 002's three nets differ clearly
        self.speckle = speckle
        self._looks = iter(np.clip(looks, -2.5, 2.5).T[:, :, None, None])
        self._takes = iter(np.clip(takes, -2.5, 2.5).T[:, :, None, None])
        strength = np.clip(0.85 + 0.3 * self.noise * next(self._takes), 0.2, 1.3)
        self.move = {
            name: strength * np.array(values, dtype=np.float32)[expressions][:, None, None]
            + 0.28 * self.noise * next(self._looks)
            + 0.14 * self.noise * next(self._takes)
            for name, values in _MOVES.items()
        }

    def look(self, spread: float) -> np.ndarray:
        """Returns a random number of the person, of about this spread."""
        return spread * self.noise * next(self._looks)

    def take(self, spread: float) -> np.ndarray:
        """Returns a random number of the picture, of about this spread."""
        return spread * self.noise * next(self._takes)

    def picture(self) -> np.ndarray:
        """Returns the faces, uint8 (n, 48, 48)."""
        x, y = self._places()
        picture = self._head(x, y)
        picture = self._eyes(picture, x, y)
        picture = self._nose(picture, x, y)
        picture = self._mouth(picture, x, y)
        return self._taken(picture)

    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns each pixel's place on the face: x from ear to ear -0.8..0.8, y from forehead to chin -1..1."""
        pixel = np.arange(SIDE, dtype=np.float32)
        column, row = np.meshgrid(pixel - (SIDE - 1) / 2, pixel - (SIDE - 1) / 2)
        column, row = column[None] - self.take(1.6), row[None] - 1.5 - self.take(1.6)
        turn = self.take(0.13)
        scale = 21.5 * (1 + self.take(0.06))
        x = (np.cos(turn) * column + np.sin(turn) * row) / scale
        y = (np.cos(turn) * row - np.sin(turn) * column) / scale
        yaw = self.take(0.16)  # a turned head: features move sideways, the far half is narrower
        x = x - yaw * np.sqrt(np.clip(1 - x**2, 0, 1))
        self.yaw = yaw
        return x * (1 + yaw * np.sign(x) * 0.5), y + self.take(0.05) * (1 - x**2)

    def _head(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        self.skin = np.clip(0.62 + self.look(0.14), 0.3, 0.9)
        self.hair = np.clip(0.22 + self.look(0.16), 0.03, 0.75)
        width = 0.78 + self.look(0.05)
        ground = np.clip(0.45 + self.take(0.22), 0, 1) + self.take(0.1) * x + self.take(0.1) * y
        crown = _inside((x / (width + 0.14)) ** 2 + ((y + 0.15) / 1.08) ** 2 - 1, 0.08)
        picture = _over(np.broadcast_to(ground, x.shape), self.hair, crown)
        hairline = 0.72 + self.look(0.08)
        self.face = _inside((x / width) ** 2 + (y / 1.02) ** 2 - 1, 0.06) * _inside(-y - hairline, 0.05)
        depth = np.sqrt(np.clip(1.15 - (x / width) ** 2 - (y / 1.05) ** 2, 0.05, 1))
        shade = 0.75 + 0.25 * depth + self.take(0.16) * x + self.take(0.1) * y
        picture = _over(picture, self.skin * shade, self.face)
        beard = np.clip(self.look(0.5) - 0.4, 0, 0.5) * _inside(0.3 - y + 0.3 * np.abs(x), 0.1)
        return picture * (1 - beard * self.face)

    def _eyes(self, picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        apart, level = 0.34 + self.look(0.025), -0.16 + self.look(0.03)
        gaze, lift = self.take(0.03), self.take(0.015)
        opened = np.clip(0.085 * (1 + 0.75 * self.move["eyes"]) + self.look(0.012), 0.008, 0.2)
        across = np.abs(x) - apart
        lids = across**2 / 0.15**2 + ((y - level) / opened) ** 2 - 1
        picture = _over(picture, picture * 0.8, _inside(across**2 / 0.2**2 + ((y - level) / 0.17) ** 2 - 1, 0.4))
        white = _inside(lids, 0.25)
        picture = _over(picture, np.clip(self.skin + 0.25, 0, 1), white)
        side = np.sign(x) * apart
        iris = _inside(((x - side - gaze) ** 2 + (y - level - lift) ** 2) / 0.075**2 - 1, 0.3)
        picture = _over(picture, 0.08, iris * white)
        picture = _over(
            picture, picture * 0.35, _line(np.abs(np.sqrt(np.clip(lids + 1, 0, 9)) - 1), 0.16) * (y < level)
        )
        self.brow_tone = np.minimum(self.hair, self.skin * 0.6)
        base = level - 0.2 - 0.09 * self.move["brows"] + self.look(0.02)
        inner, outer = -0.085 * self.move["inner"], -0.07 * self.move["outer"]
        along = np.clip((np.abs(x) - apart + 0.17) / 0.36, 0, 1)
        arch = base + inner * (1 - along) ** 2 + outer * along**2 - 0.05 * np.sin(np.pi * along) + 0.02
        ends = _inside(np.abs(np.abs(x) - apart - 0.01) - 0.19, 0.02)
        thick = 0.028 + np.clip(self.look(0.008), -0.012, 0.02)
        picture = _over(picture, self.brow_tone, 0.9 * ends * _line(np.abs(y - arch), thick))
        frown = np.clip(-self.move["inner"], 0, 1) * _line(np.abs(np.abs(x) - 0.05), 0.015)
        picture = picture * (1 - 0.35 * frown * _inside(np.abs(y - base) - 0.1, 0.03))
        glasses = (self.look(1.0) > 1.1) * _line(np.abs(np.sqrt(across**2 + (y - level) ** 2) - 0.21), 0.02)
        return _over(picture, 0.1, 0.8 * glasses)

    def _nose(self, picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        tip = 0.22 + self.look(0.03) - 0.05 * np.clip(self.move["wrinkle"], 0, 1)
        wide = 0.11 + self.look(0.015)
        nostrils = _inside(((np.abs(x) - wide * 0.6) / 0.05) ** 2 + ((y - tip) / 0.03) ** 2 - 1, 0.5)
        picture = picture * (1 - 0.5 * nostrils)
        ridge = _inside(np.abs(x - wide * 0.7 * np.sign(self.yaw)) - 0.02, 0.03) * _inside(np.abs(y - 0.02) - 0.2, 0.05)
        picture = picture * (1 - 0.2 * ridge)
        folds = np.clip(self.move["wrinkle"], 0, 1.2) * _inside(np.abs(x) - 0.16, 0.04)
        stripes = np.clip(np.cos((y + 0.1) * 42), 0, 1) * _inside(np.abs(y + 0.02) - 0.13, 0.03)
        picture = picture * (1 - 0.4 * folds * stripes)
        raised = np.clip(self.move["corners"] * 0.6 + self.move["upper_lip"] * 0.7, 0, 1.2)
        cheek = np.abs(np.abs(x) - 0.17 - 0.33 * (y - tip + 0.05))
        return picture * (1 - 0.35 * raised * _line(cheek, 0.025) * _inside(np.abs(y - tip - 0.12) - 0.15, 0.04))

    def _mouth(self, picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        level = 0.52 + self.look(0.025)
        half = np.clip(0.25 * (1 + 0.28 * self.move["wide"]) + self.look(0.02), 0.12, 0.45)
        skew = self.take(0.04)
        along = np.clip((x - skew * 0.5) / half, -1.4, 1.4)
        middle = level - 0.11 * self.move["corners"] * (along**2 - 0.45) + skew * along
        gape = 0.17 * np.clip(self.move["open"], 0, 1.4) * np.clip(1 - along**2, 0, 1)
        ends = _inside(np.abs(along) - 1, 0.06)
        lip = (0.055 - 0.03 * np.clip(self.move["pressed"], 0, 1)) * (1.05 - along**2 * 0.8)
        lip = np.clip(lip * (1 + np.clip(self.look(0.25), -0.5, 0.6)), 0.012, None)
        top = middle - gape * 0.6 - 0.05 * np.clip(self.move["upper_lip"], 0, 1.2) * (1 - along**2)
        bottom = middle + gape
        lips = _inside(top - lip - y, 0.02) * _inside(y - bottom - lip * 1.3, 0.02) * ends
        picture = _over(picture, self.skin * (0.68 + self.look(0.06)), 0.85 * lips)
        hole = _inside(top - y, 0.012) * _inside(y - bottom, 0.012) * ends
        picture = _over(picture, 0.07, hole * np.clip(gape * 30, 0, 1))
        teeth = hole * _inside(y - top - 0.07, 0.02) * np.clip(self.move["corners"] + self.move["upper_lip"], 0, 1)
        picture = _over(picture, 0.88, teeth * np.clip(gape * 25, 0, 1))
        return _over(
            picture, picture * 0.4, 0.9 * ends * _line(np.abs(y - middle), 0.012) * np.clip(1 - gape * 25, 0, 1)
        )

    def _taken(self, picture: np.ndarray) -> np.ndarray:
        """Returns the picture as a camera takes it: something in front, focus, contrast, grain."""
        pixel = np.arange(SIDE, dtype=np.float32)
        left, top = 24 + self.take(20.0), 24 + self.take(20.0)
        cover = (np.abs(pixel[None, None, :] - left) < 7) & (np.abs(pixel[None, :, None] - top) < 7)
        picture = np.where(cover & (self.take(1.0) > 1.3), 0.5 + self.take(0.2), picture)
        soft = picture
        for _ in range(2):
            soft = (soft + np.roll(soft, 1, 1) + np.roll(soft, -1, 1)) / 3
            soft = (soft + np.roll(soft, 1, 2) + np.roll(soft, -1, 2)) / 3
        picture = _over(picture, soft, np.clip(0.25 + self.take(0.35), 0, 1))
        contrast, light = np.exp(self.take(0.25)), self.take(0.1)
        grain = np.clip(0.02 + self.take(0.02), 0, 0.08) * self.noise * self.speckle
        picture = (picture - 0.5) * contrast + 0.5 + light + grain
        return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)


def _inside(distance: np.ndarray, softness: float) -> np.ndarray:
    """Returns 1 where the distance is below zero, 0 above, with a soft edge."""
    return np.clip(0.5 - distance / (2 * softness), 0, 1)


def _line(distance: np.ndarray, width: float | np.ndarray) -> np.ndarray:
    """Returns 1 on a line, 0 from one and a half widths on."""
    return np.clip(1.5 - distance / width, 0, 1)


def _over(picture: np.ndarray, colour: float | np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns the picture with a colour painted over it, where and as densely as the mask (0..1) says."""
    return picture + (colour - picture) * mask
