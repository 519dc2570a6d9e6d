import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from exp.tasks.lane.data.culane import label_name, read_list
from exp.tasks.lane.data.lines import read_lines
from exp.tasks.lane.metrics.culane import MF1, Count, areas, count, matched, score
from tests.tasks.lane.conftest import straight


def test_thresholds_are_strict_and_misses_are_counted() -> None:
    label = straight(400)
    ious = matched(areas([straight(410)]), areas([label]))
    assert count(ious, 1, 1, float(ious[0])) == Count(0, 1, 1)
    assert count(ious, 1, 1, float(ious[0]) - 1e-9) == Count(1, 0, 0)
    assert score([label, straight(900)], [label], [0.5, 0.75]) == [Count(1, 1, 0)] * 2
    assert score([], [label, label]) == [Count(0, 0, 2)]
    assert score([label], []) == [Count(0, 1, 0)]
    assert score([], []) == [Count()]


def test_an_empty_line_counts_as_a_lane() -> None:
    nothing = np.zeros((0, 2), np.float32)
    assert score([nothing], [straight(400), nothing]) == [Count(0, 1, 2)]


def test_the_assignment_is_the_best_one() -> None:
    rng = np.random.RandomState(1)
    labels = [straight(x) for x in (400, 418, 440, 465)]
    predicted = [straight(x) for x in rng.uniform(395, 470, 4)]
    counted = matched(areas(predicted), areas(labels)).sum()
    table = [[matched(areas([p]), areas([one]))[0] for p in predicted] for one in labels]
    best = max(sum(table[i][j] for i, j in enumerate(order)) for order in itertools.permutations(range(4)))
    assert counted == pytest.approx(best)


def test_rates() -> None:
    counted = Count(6, 2, 4)
    assert (counted.precision, counted.recall) == (75.0, 60.0)
    assert counted.f1 == pytest.approx(2 * 75 * 60 / 135)
    assert (Count().precision, Count().recall, Count().f1) == (0.0, 0.0, 0.0)
    assert len(MF1) == 10
    assert MF1[0] == 0.5
    assert MF1[-1] == 0.95


def test_no_torch_is_needed() -> None:
    code = (
        "import sys, exp.tasks.lane.metrics.culane, exp.tasks.lane.metrics.tusimple; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_real_labels_score_themselves(real_data: Path) -> None:
    root = real_data / "culane"
    names = [label_name(image) for image in read_list(root / "list/train.txt")][::6]
    total = Count()
    for name in names:
        lanes = read_lines(root / name)
        total += score(lanes, lanes, [0.95])[0]
    assert total == Count(total.tp, 0, 0)
    assert total.tp > 80
