"""A walking body of capsules: who walks (shape, pose, tempo), how each walk differs, and where the limbs are.

Angles are in degrees, lengths in units of stature; x points forwards, y to the left, z up. The joint curves follow the
textbook course of a gait cycle (Perry and Burnfield, "Gait Analysis", 2010): the knee bends about 15 degrees when the
leg takes the weight and about 60 in the swing; arms swing against the legs.

Identity has three parts with a size each: ``shape`` (proportions), ``pose`` (angles: seen in a set of frames),
``tempo`` (the period: seen only in the frames' order).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

VIEWS = tuple(f"{18 * k:03d}" for k in range(11))
TYPES = (*(f"nm-{k:02d}" for k in range(1, 7)), "bg-01", "bg-02", "cl-01", "cl-02")

# Of each quantity: its mean and the spread among people, relative to the mean.
_SHAPE = {
    "thigh": (0.245, 0.06),
    "shank": (0.246, 0.06),
    "foot": (0.11, 0.08),
    "torso": (0.30, 0.05),
    "upper_arm": (0.172, 0.06),
    "forearm": (0.16, 0.06),
    "head": (0.066, 0.08),
    "shoulder_width": (0.115, 0.10),
    "hip_width": (0.055, 0.12),
    "chest": (0.085, 0.14),
    "depth": (0.72, 0.14),
    "thigh_radius": (0.052, 0.13),
    "shank_radius": (0.034, 0.12),
    "arm_radius": (0.027, 0.14),
}
# Of each quantity: its mean and the spread among people, in degrees (or cycles, for times).
_POSE = {
    "hip_swing": (21.0, 3.0),
    "hip_offset": (4.0, 2.5),
    "knee_stance": (14.0, 4.0),
    "knee_swing": (57.0, 6.0),
    "knee_time": (0.72, 0.012),
    "ankle": (14.0, 5.0),
    "arm_swing": (20.0, 7.0),
    "arm_offset": (-3.0, 5.0),
    "elbow": (18.0, 8.0),
    "elbow_swing": (14.0, 6.0),
    "arm_spread": (6.0, 3.0),
    "lean": (3.0, 2.5),
    "nod": (6.0, 6.0),
    "step_width": (2.0, 1.3),
    "sway": (4.0, 1.2),
}
_JITTER = 0.35  # spread among one person's walks, relative to the spread among people
_MEAN_PERIOD = 1.08  # seconds a cycle of two steps
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Knobs:
    """How far people differ.

    Attributes:
        shape: Factor of the spread of proportions.
        pose: Factor of the spread of angles.
        tempo: Spread of the period: people's periods lie evenly between the mean over and times exp(tempo).
        shift: No part of identity: by how much segmentation errors move a walk to the side, in frame heights.
    """

    shape: float = 1.0
    pose: float = 1.0
    tempo: float = 0.15
    shift: float = 0.09


def generator(*key: int | str) -> np.random.RandomState:
    """Returns random numbers that follow from the key alone; numpy has frozen this stream for good."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return np.random.RandomState(np.frombuffer(digest[:16], dtype="<u4"))


@dataclass(frozen=True)
class Walk:
    """One walk of one person: lengths, angles, clothing, and the phase of every frame.

    Attributes:
        shape: Lengths by name.
        pose: Angles by name.
        phase: (T,) place in the left leg's cycle, 0 to 1.
        bag: none, back, hand or hip.
        bag_size: Its radius.
        coat: Added radius of a coat; 0 for none.
        damped: The arm whose swing a bag holds back: 0 left, 1 right, -1 neither.
        sharpness: Shift of the silhouette's edge, in pixels of a frame of 64 rows.
    """

    shape: dict[str, float]
    pose: dict[str, float]
    phase: np.ndarray
    bag: str
    bag_size: float
    coat: float
    damped: int
    sharpness: float


def length_of(seed: int, subject: int, sequence: int, frames: int) -> int:
    """Returns the number of frames of a walk: around ``frames``, up to a sixth fewer or more."""
    spread = frames // 6
    return frames + int(generator(seed, subject, sequence, "length").randint(-spread, spread + 1))


def walk_of(seed: int, subject: int, sequence: int, frames: int, knobs: Knobs, fps: float = 25.0) -> Walk:
    """Returns the walk of a person in a sequence, the same from every angle.

    Args:
        seed: The population's seed.
        subject: Person, 1 and up.
        sequence: Place in ``TYPES``.
        frames: See ``length_of``.
        knobs: How far people differ.
        fps: Frames a second.
    """
    person = generator(seed, subject, "person")
    shape_draws = np.clip(person.standard_normal(len(_SHAPE)), -2, 2) * knobs.shape
    pose_draws = np.clip(person.standard_normal(len(_POSE)), -2, 2) * knobs.pose
    draws = generator(seed, subject, sequence, "walk")
    jitter = np.clip(draws.standard_normal(len(_POSE)), -2, 2) * _JITTER
    shape = {
        name: mean * (1 + spread * z) for (name, (mean, spread)), z in zip(_SHAPE.items(), shape_draws, strict=True)
    }
    pose = {
        name: mean + spread * (z + dz)
        for (name, (mean, spread)), z, dz in zip(_POSE.items(), pose_draws, jitter, strict=True)
    }
    kind = TYPES[sequence][:2]
    bag = ("back", "hand", "hip")[draws.randint(3)]
    bag_size, damped, coat = draws.uniform(0.05, 0.09), int(draws.randint(2)), draws.uniform(0.02, 0.045)
    count = length_of(seed, subject, sequence, frames)
    return Walk(
        shape,
        pose,
        _phase(seed, subject, draws, count, knobs.tempo, fps),
        bag if kind == "bg" else "none",
        bag_size,
        coat if kind == "cl" else 0.0,
        damped if kind == "bg" else -1,
        draws.uniform(-0.4, 0.4),
    )


def _phase(seed: int, subject: int, draws: np.random.RandomState, count: int, tempo: float, fps: float) -> np.ndarray:
    """Returns the phases of the frames: the period is the person's, the start is the walk's.

    The phase flows evenly, so that an unordered set of frames tells nothing of the period.
    """
    # A sequence that spreads any run of people evenly.
    place = (generator(seed, "tempo").uniform() + subject * _GOLDEN) % 1.0
    period = _MEAN_PERIOD * np.exp(tempo * (2 * place - 1)) * (1 + 0.015 * np.clip(draws.standard_normal(), -2, 2))
    return (draws.uniform() + np.arange(count) / (fps * period)) % 1.0


@dataclass(frozen=True)
class Capsules:
    """Tapered capsules of T frames.

    Attributes:
        start: (k, T, 3).
        end: (k, T, 3).
        radii: (k, 2) at start and end.
        flatness: (k,) depth over width of the cross-section; 1 is round.
    """

    start: np.ndarray
    end: np.ndarray
    radii: np.ndarray
    flatness: np.ndarray


class _Limbs(list[tuple[np.ndarray, np.ndarray, float, float, float]]):
    """Capsules of a walk as they are put together: start and end (T, 3), radius at both, flatness."""

    def put(self, start: np.ndarray, end: np.ndarray, first: float, last: float, flatness: float = 1.0) -> None:
        """Adds a capsule."""
        self.append((start, end, first, last, flatness))


def capsules(walk: Walk) -> Capsules:
    """Returns the limbs of a walk in every frame."""
    limbs = _Limbs()
    pelvis = np.zeros((len(walk.phase), 3))
    chest = _trunk(limbs, walk, pelvis)
    hands = []
    for side, shift in ((1, 0.0), (-1, 0.5)):
        turn = (walk.phase + shift) % 1.0
        _leg(limbs, walk, pelvis, side, turn)
        hands.append(_arm(limbs, walk, chest, side, turn))
    _clothing(limbs, walk, pelvis, chest, hands)
    start, end = (np.stack([limb[k] for limb in limbs]) for k in (0, 1))
    return Capsules(start, end, np.array([limb[2:4] for limb in limbs]), np.array([limb[4] for limb in limbs]))


def _trunk(limbs: _Limbs, walk: Walk, pelvis: np.ndarray) -> np.ndarray:
    """Adds trunk, neck and head, and returns the chest (T, 3)."""
    shape, pose, coat = walk.shape, walk.pose, walk.coat
    lean = np.radians(pose["lean"])
    chest = pelvis + shape["torso"] * np.array([np.sin(lean), 0.0, np.cos(lean)])
    limbs.put(pelvis, chest, shape["hip_width"] + 0.035 + coat, shape["chest"] + coat, shape["depth"])
    nod = np.radians(pose["lean"] + pose["nod"])
    skull = chest + (0.07 + shape["head"]) * np.array([np.sin(nod), 0.0, np.cos(nod)])
    limbs.put(chest, skull, 0.035, shape["head"])
    limbs.put(skull, skull + np.array([0.0, 0.0, 0.35 * shape["head"]]), shape["head"], shape["head"] * 0.9)
    return chest


def _leg(limbs: _Limbs, walk: Walk, pelvis: np.ndarray, side: int, turn: np.ndarray) -> None:
    """Adds the leg of a side (1 left, -1 right), which is at ``turn`` (T,) of its own cycle."""
    shape, pose, coat = walk.shape, walk.pose, walk.coat
    hip = pelvis + np.array([0.0, side * shape["hip_width"], 0.0])
    thigh = np.radians(pose["hip_offset"] + pose["hip_swing"] * np.cos(2 * np.pi * turn))
    bend = np.radians(
        6 + pose["knee_stance"] * _bump(turn, 0.14, 0.07) + pose["knee_swing"] * _bump(turn, pose["knee_time"], 0.09)
    )
    # The trunk leans over the leg on the ground: both legs are aslant, seen from the front.
    slant = side * pose["step_width"] * 0.5 + pose["sway"] * np.cos(2 * np.pi * walk.phase)
    knee = _bone(hip, thigh, shape["thigh"], slant)
    ankle = _bone(knee, thigh - bend, shape["shank"], slant)
    point = np.radians(90 - pose["ankle"] * _bump(turn, 0.62, 0.08) * 2.5) + (thigh - bend) * 0.6
    toe = _bone(ankle, point, shape["foot"])
    limbs.put(hip, knee, shape["thigh_radius"] * 1.25 + coat * 0.7, shape["thigh_radius"] * 0.8 + coat * 0.3)
    limbs.put(knee, ankle, shape["shank_radius"] * 1.15, shape["shank_radius"] * 0.75)
    limbs.put(ankle, toe, 0.028, 0.018)


def _arm(limbs: _Limbs, walk: Walk, chest: np.ndarray, side: int, turn: np.ndarray) -> np.ndarray:
    """Adds the arm of a side, which swings against the leg at ``turn`` (T,) of its cycle, and returns the hand."""
    shape, pose, coat = walk.shape, walk.pose, walk.coat
    wave = np.cos(2 * np.pi * turn)
    held = 0.25 if walk.damped == (0 if side > 0 else 1) else 1.0
    shoulder = chest + np.array([0.0, side * shape["shoulder_width"], -0.015])
    arm = np.radians(pose["arm_offset"] - held * pose["arm_swing"] * wave)
    elbow = _bone(shoulder, arm, shape["upper_arm"], side * pose["arm_spread"])
    fold = np.radians(pose["elbow"] + held * pose["elbow_swing"] * (1 - wave) / 2)
    hand = _bone(elbow, arm + fold, shape["forearm"], side * pose["arm_spread"] * 0.5)
    limbs.put(shoulder, elbow, shape["arm_radius"] * 1.3 + coat * 0.6, shape["arm_radius"] + coat * 0.6)
    limbs.put(elbow, hand, shape["arm_radius"] + coat * 0.6, shape["arm_radius"] * 0.85 + coat * 0.3)
    return hand


def _clothing(limbs: _Limbs, walk: Walk, pelvis: np.ndarray, chest: np.ndarray, hands: list[np.ndarray]) -> None:
    """Adds the skirts of a coat, and a bag on the back, in a hand or at the hip."""
    shape, coat, size = walk.shape, walk.coat, walk.bag_size
    if coat:
        hem = pelvis + np.array([0.0, 0.0, -0.62 * shape["thigh"]])
        limbs.put(pelvis, hem, shape["hip_width"] + 0.04 + coat, shape["hip_width"] + 0.055 + coat * 1.4, 0.85)
    if walk.bag == "back":
        low, high = np.array([-0.07 - size, 0.0, 0.10]), np.array([-0.06 - size, 0.0, -0.06])
        limbs.put(pelvis + low, chest + high, size, size)
    elif walk.bag == "hand":
        below = hands[walk.damped] + np.array([0.0, 0.0, -0.04 - size])
        limbs.put(below, below + np.array([0.06, 0.0, 0.0]), size, size)
    elif walk.bag == "hip":
        side = 1 if walk.damped == 0 else -1
        at = pelvis + np.array([-0.01, side * (shape["hip_width"] + 0.075), -0.02])
        limbs.put(at, at + np.array([0.07, 0.0, -0.05]), size, size)


def _bone(start: np.ndarray, angle: np.ndarray, length: float, sideways: float | np.ndarray = 0.0) -> np.ndarray:
    """Returns the end (T, 3) of a bone that hangs down, turned forwards by an angle and outwards to the left."""
    across = np.radians(sideways)
    step = np.stack([np.sin(angle), np.sin(across) + np.zeros_like(angle), -np.cos(angle) * np.cos(across)], axis=1)
    return start + length * step


def _bump(turn: np.ndarray, centre: float, width: float) -> np.ndarray:
    """Returns a Gaussian on the cycle's circle, one value for each phase."""
    away = (turn - centre + 0.5) % 1.0 - 0.5
    return np.exp(-0.5 * (away / width) ** 2)
