"""Lanes: CULane's IoU against drawing both lanes of each pair, and decoding against computing the prefix anew.

``python benchmarks/lane.py`` takes generated roads (``benchmarks/culane.py`` has more ways and options) and a decoder
of the default size over random visual tokens. IoUs have to be the same bit for bit, and so do tokens.
"""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import torch
from torch import Tensor

from culane import by_pair, images, ours, segments
from exp.tasks.lane.models.decoder import Memory
from exp.tasks.lane.models.lanelm import LaneLM, Seen
from exp.tasks.lane.options import LaneOptions
from measure import Row, compared, main

BINS = 400


def decoder() -> LaneLM:
    """Returns the lane model: 4 lanes of 40 rows."""
    torch.manual_seed(0)
    places = {"bin_places": torch.arange(float(BINS)), "row_places": torch.arange(40.0)}
    return LaneLM(task=LaneOptions(nbins=BINS), vocabulary=BINS + 1, dim=256, layers=4, heads=8, **places).eval()


def anew(model: LaneLM, seen: Seen) -> Tensor:
    """Writes the lanes as a decoder without memory does: at each row the whole prefix, and the image for every lane."""
    each = Seen([tokens.expand(model.slots, -1, -1) for tokens in seen.tokens], seen.masks, [])
    inputs = model.begin(1, torch.device("cpu"))
    for _ in range(model.steps):
        memories = [_first(memory) for memory in model.remember(each)]
        token = model.write(inputs, memories).x[:, :, -1:].argmax(-1)
        inputs = torch.cat([inputs, token], 2)
    return inputs[:, :, 1:]


def _first(memory: Memory) -> Memory:
    return replace(memory, keys=memory.keys[:1], values=memory.values[:1])


def rows() -> Iterator[Row]:
    """Measures."""
    cv2.setNumThreads(0)
    work = [pair for pair in images(None, 60) if len(pair[0]) == len(pair[1]) == 4][:8]
    drawn = by_pair(segments)
    equal = all(np.array_equal(ours(*one), drawn(*one)) for one in work)
    mine, theirs = (lambda way=way: [way(*one) for one in work] for way in (ours, drawn))
    yield compared(
        f"CULane's IoU, {len(work)} images of 4 lanes", "drawing both lanes of each pair", mine, theirs, 0.04, equal
    )
    model = decoder()
    for count, limit, rounds in ((250, 0.09, 5), (6500, 0.028, 1)):
        seen = Seen([torch.randn(1, count, 256)], [None], [])

        def cached(seen: Seen = seen) -> Tensor:
            with torch.inference_mode():
                return model.generate(model.remember(seen))

        def plain(seen: Seen = seen) -> Tensor:
            with torch.inference_mode():
                return anew(model, seen)

        what = f"decoding 4 lanes of 40 rows, {count:,} visual tokens"
        yield compared(what, "prefix and image anew", cached, plain, limit, torch.equal(cached(), plain()), rounds)


if __name__ == "__main__":
    main(rows, __doc__)
