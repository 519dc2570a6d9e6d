"""Walkers: a population of procedural walkers in the shape of CASIA-B, made on first use.

Nothing is shipped but the generator and a seed: six normal walks, two with a bag and two in a coat of every person,
from up to eleven angles. The pixels follow from (seed, person, sequence, angle) alone.
"""

from __future__ import annotations

import hashlib
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from exp.cells.counted import counted
from exp.data.cache import cache_folder
from exp.tasks.gait.data import walker_body, walker_render
from exp.tasks.gait.data.clips import Clips, ClipWriter, key_of, stored
from exp.tasks.gait.data.walker_body import TYPES, VIEWS, Knobs
from exp.tasks.gait.options import WalkersOptions

PRESETS = {"mixed": Knobs(shape=1.0, pose=1.0, tempo=0.15), "tempo": Knobs(shape=0.0, pose=0.0, tempo=0.70, shift=0.0)}
"""How far people differ: mixed in everything, tempo in nothing but the order of their frames."""


class Walkers:
    """The population: training, validation and test people, none of them in two parts.

    Args:
        options: See ``WalkersOptions``.
        given: Options by name, in place of ``options``.
    """

    def __init__(self, options: WalkersOptions | None = None, **given: Any) -> None:
        self.options = options = WalkersOptions.of(options, given)
        base = PRESETS[options.preset]
        self.knobs = Knobs(
            shape=base.shape if options.shape is None else options.shape,
            pose=base.pose if options.pose is None else options.pose,
            tempo=base.tempo if options.tempo is None else options.tempo,
            shift=base.shift,
        )
        chosen = np.linspace(0, len(VIEWS) - 1, options.views).round().astype(int).tolist()
        self.views = tuple(VIEWS[k] for k in chosen)
        counts = {"train": options.train_subjects, "val": options.val_subjects, "test": options.test_subjects}
        ends = np.cumsum([1, *counts.values()]).tolist()
        self._subjects = {split: range(ends[k], ends[k + 1]) for k, split in enumerate(counts)}

    @property
    def num_classes(self) -> int:
        """Number of people to train on."""
        return len(self._subjects["train"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of a frame: (1, size, size)."""
        return 1, self.options.size, self.options.size

    @property
    def class_names(self) -> list[str]:
        """The numbers of the people to train on."""
        return [f"{subject:03d}" for subject in self._subjects["train"]]

    def check(self) -> str:
        """Returns a fingerprint of the generator's code and options."""
        return key_of(self._asked(), [list(subjects) for subjects in self._subjects.values()])

    def _asked(self) -> list[object]:
        """Returns everything the pixels follow from but the people."""
        knobs, own = vars(self.knobs), self.options
        return [_code(), knobs, own.size, own.clip_frames, own.fps, own.data_seed, list(self.views)]

    def load(self) -> dict[str, Clips]:
        """Returns the parts train, val (where there is one) and test.

        Raises:
            DataError: The cache cannot be written or read.
        """
        return {split: self.clips(split) for split, subjects in self._subjects.items() if subjects}

    def clips(self, split: str) -> Clips:
        """Returns one part, made now if no run on this machine has made it.

        Raises:
            DataError: The cache cannot be written or read.
        """
        subjects = self._subjects[split]
        key = key_of(self._asked(), list(subjects))
        return stored(cache_folder() / "walkers" / f"{split}-{key}", self.shape[1:], self._make(subjects))

    def _make(self, subjects: range) -> Callable[[ClipWriter], None]:
        own = self.options

        def make(writer: ClipWriter) -> None:
            walks = list(itertools.product(subjects, enumerate(TYPES), self.views))
            for subject, (sequence, kind), view in counted(walks, "drawing walkers", len(walks)):
                frames = walker_render.silhouettes(
                    own.data_seed,
                    subject,
                    sequence,
                    view,
                    frames=own.clip_frames,
                    height=own.size,
                    width=own.size,
                    knobs=self.knobs,
                    fps=own.fps,
                )
                writer.add(f"{subject:03d}", kind, view, frames)

        return make


def _code() -> str:
    """Returns a hash of the generator's files, so that a changed generator makes its own cache."""
    digest = hashlib.sha256()
    for module in (walker_body, walker_render):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()[:16]
