"""Small FER2013 files in the publishers' layouts."""

from pathlib import Path

import numpy as np

USAGES = ["Training"] * 14 + ["PublicTest"] * 7 + ["PrivateTest"] * 7


def faces(count: int = 28, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (count, 48, 48) of smooth noise and labels (count,), each expression in turn."""
    random = np.random.RandomState(seed)
    coarse = random.randint(0, 256, (count, 6, 6)).astype(np.uint8)
    return coarse.repeat(8, 1).repeat(8, 2), np.arange(count) % 7


def write_csv(path: Path, images: np.ndarray, labels: np.ndarray, *, head: str = "emotion,pixels,Usage") -> Path:
    """Writes fer2013.csv, or icml_face_data.csv with the blanks in its header (emotion, Usage, pixels)."""
    lines = [head]
    names = [name.strip() for name in head.split(",")]
    for image, label, usage in zip(images, labels, USAGES, strict=True):
        row = {"emotion": str(label), "Usage": usage, "pixels": " ".join(map(str, image.ravel()))}
        lines.append(",".join(row[name] for name in names))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path
