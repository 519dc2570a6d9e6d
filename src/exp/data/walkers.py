"""Walkers: a population of procedural walkers in the shape of CASIA-B, made on first use.

Nothing is shipped but the generator and a seed: six normal walks, two with a bag and two in a coat of every person,
from up to eleven angles. The pixels follow from (seed, person, sequence, angle) alone.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Literal

import numpy as np

from exp.data import walker_body, walker_render
from exp.data.cache import cache_folder
from exp.data.clips import Clips, ClipWriter, key_of, stored
from exp.data.walker_body import TYPES, VIEWS, Knobs

PRESETS = {"mixed": Knobs(shape=1.0, pose=1.0, tempo=0.15), "tempo": Knobs(shape=0.0, pose=0.0, tempo=0.70, shift=0.0)}
"""How far people differ: mixed in everything; tempo twins in nothing but the order of their frames."""

MIN_SIDE = 16


class Walkers:
    """The population: training, validation and test people, none of them in two parts.

    Args:
        preset: mixed or tempo, see ``PRESETS``.
        shape: Spread of proportions; the preset's where not given.
        pose: Spread of angles; the preset's where not given.
        tempo: Spread of the period; the preset's where not given.
        size: Rows and columns of a frame.
        train_subjects: People to train on.
        val_subjects: People to choose the epoch on; 0 for none.
        test_subjects: People to test on.
        views: Number of angles, evenly spread over 000 to 180.
        clip_frames: Middle number of frames of a walk; walks are up to a sixth shorter or longer.
        fps: Frames a second; a cycle of two steps takes about 1.08 seconds.
        data_seed: Which population.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        *,
        preset: Literal["mixed", "tempo"] = "mixed",
        shape: float | None = None,
        pose: float | None = None,
        tempo: float | None = None,
        size: int = 32,
        train_subjects: int = 24,
        val_subjects: int = 8,
        test_subjects: int = 16,
        views: int = 11,
        clip_frames: int = 48,
        fps: float = 25.0,
        data_seed: int = 0,
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(f"preset must be {' or '.join(PRESETS)}, not {preset}")
        if size < MIN_SIDE or clip_frames < 6 or fps <= 0 or not 2 <= views <= len(VIEWS):
            raise ValueError(
                f"size={size}, clip_frames={clip_frames}, fps={fps}, views={views}: at least {MIN_SIDE}, 6, above 0,"
                f" and 2 to {len(VIEWS)}"
            )
        if min(train_subjects, test_subjects) < 2 or val_subjects < 0 or val_subjects == 1:
            raise ValueError(
                f"train_subjects={train_subjects}, val_subjects={val_subjects}, test_subjects={test_subjects}: at least"
                " two people each, or none in validation"
            )
        base = PRESETS[preset]
        self.knobs = Knobs(
            shape=base.shape if shape is None else shape,
            pose=base.pose if pose is None else pose,
            tempo=base.tempo if tempo is None else tempo,
            shift=base.shift,
        )
        self.size = size
        self.clip_frames = clip_frames
        self.fps = fps
        self.data_seed = data_seed
        self.views = tuple(VIEWS[k] for k in np.linspace(0, len(VIEWS) - 1, views).round().astype(int).tolist())
        counts = {"train": train_subjects, "val": val_subjects, "test": test_subjects}
        ends = np.cumsum([1, *counts.values()]).tolist()
        self._subjects = {split: range(ends[k], ends[k + 1]) for k, split in enumerate(counts)}

    @property
    def num_classes(self) -> int:
        """People to train on."""
        return len(self._subjects["train"])

    @property
    def shape(self) -> tuple[int, int, int]:
        """(1, size, size)."""
        return 1, self.size, self.size

    @property
    def class_names(self) -> list[str]:
        """The numbers of the people to train on."""
        return [f"{subject:03d}" for subject in self._subjects["train"]]

    def check(self) -> str:
        """See ``exp.data.source.Source.check``; covers the generator's code and what it was asked for."""
        return key_of(self._asked(), [list(subjects) for subjects in self._subjects.values()])

    def _asked(self) -> list[object]:
        """Everything the pixels follow from but the people."""
        knobs = vars(self.knobs)
        return [_code(), knobs, self.size, self.clip_frames, self.fps, self.data_seed, list(self.views)]

    def load(self) -> dict[str, Clips]:
        """The parts train, val (where there is one) and test."""
        return {split: self.clips(split) for split, subjects in self._subjects.items() if subjects}

    def clips(self, split: str) -> Clips:
        """One part, made now if no run on this machine has made it.

        Raises:
            DataError: The cache cannot be written or read.
        """
        subjects = self._subjects[split]
        key = key_of(self._asked(), list(subjects))
        return stored(cache_folder() / "walkers" / f"{split}-{key}", (self.size, self.size), self._make(subjects))

    def _make(self, subjects: range) -> Callable[[ClipWriter], None]:
        def make(writer: ClipWriter) -> None:
            for subject in subjects:
                for sequence, kind in enumerate(TYPES):
                    for view in self.views:
                        frames = walker_render.silhouettes(
                            self.data_seed,
                            subject,
                            sequence,
                            view,
                            frames=self.clip_frames,
                            height=self.size,
                            width=self.size,
                            knobs=self.knobs,
                            fps=self.fps,
                        )
                        writer.add(f"{subject:03d}", kind, view, frames)

        return make


def _code() -> str:
    """Hash of the generator's files, so that a changed generator makes its own cache."""
    digest = hashlib.sha256()
    for module in (walker_body, walker_render):
        digest.update(inspect.getsource(module).encode())
    return digest.hexdigest()[:16]
