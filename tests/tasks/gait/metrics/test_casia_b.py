"""The CASIA-B protocol against a brute-force reading of it."""

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from exp.tasks.gait.data.walker_body import TYPES
from exp.tasks.gait.metrics.casia_b import (
    CROSS_GALLERY,
    CROSS_PROBE,
    GALLERY,
    PROBES,
    ProtocolError,
    evaluate,
    ranked,
)

VIEWS = ("000", "018", "090")


def walks(
    people: int = 6,
    views: tuple[str, ...] = VIEWS,
    channels: int = 5,
    parts: int = 3,
    noise: float = 1.6,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    draws = np.random.RandomState(seed)
    labels = [(f"{100 + p}", kind, view) for p in range(people) for kind in TYPES for view in views]
    ids, types, angles = (np.array(column) for column in zip(*labels, strict=True))
    centres = draws.standard_normal((people, channels, parts))
    who = np.array([int(person) - 100 for person in ids])
    features = centres[who] + noise * draws.standard_normal((len(ids), channels, parts))
    return {"features": features.astype(np.float32), "ids": ids, "types": types, "views": angles}


def brute(
    arrays: dict[str, np.ndarray], condition: str, metric: str, places: int, rounding: bool
) -> tuple[float, np.ndarray]:
    """One probe, one gallery angle at a time, part by part."""
    f, ids, types, views = (arrays[name] for name in ("features", "ids", "types", "views"))
    names = sorted(set(views.tolist()))
    matrix = np.full((len(names), len(names)), np.nan)
    for row, probe_view in enumerate(names):
        for column, gallery_view in enumerate(names):
            hits = []
            for i in range(len(ids)):
                if types[i] not in PROBES[condition] or views[i] != probe_view:
                    continue
                entries = [j for j in range(len(ids)) if types[j] in GALLERY and views[j] == gallery_view]
                far = []
                for j in entries:
                    each = []
                    for part in range(f.shape[2]):
                        a, b = f[i, :, part].astype(float), f[j, :, part].astype(float)
                        if metric == "cosine":
                            each.append(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b))
                        else:
                            each.append(np.linalg.norm(a - b))
                    far.append(np.mean(each))
                nearest = [entries[k] for k in np.argsort(far)[:places]]
                hits.append(any(ids[j] == ids[i] for j in nearest))
            if hits:
                matrix[row, column] = 100 * np.mean(hits)
    if rounding:
        matrix = matrix.round(2)
    rows = [np.nanmean([v for k, v in enumerate(row) if k != place]) for place, row in enumerate(matrix)]
    return float(np.mean(rows)), matrix


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
@pytest.mark.parametrize("rounding", [False, True])
def test_is_the_brute_force_reading(metric: str, rounding: bool) -> None:
    arrays = walks(seed=3)
    report = evaluate(**arrays, metric=metric, rounding=rounding)
    for condition in PROBES:
        for score, places in (("r1", 1), ("r5", 5)):
            mean, matrix = brute(arrays, condition, metric, places, rounding)
            assert report.conditions[condition].scores[score] == pytest.approx(mean, abs=1e-9)
            np.testing.assert_allclose(report.conditions[condition].matrices[score], matrix)
    scores = report.scores()
    assert 20 < scores["nm_r1"] < 95
    assert scores["mean_r1"] == pytest.approx(np.mean([scores[f"{name}_r1"] for name in PROBES]))


def test_separated_people_score_100_and_one_point_scores_the_first_person_only() -> None:
    arrays = walks(noise=1e-3)
    assert evaluate(**arrays).scores()["mean_r1"] == 100
    assert evaluate(**arrays).scores()["cross_r1"] == 100
    arrays["features"] = np.ones_like(arrays["features"])
    assert evaluate(**arrays).scores()["mean_r1"] == pytest.approx(100 / 6)


def test_identical_views_are_left_out() -> None:
    arrays = walks(people=4)
    # Each person's vector is right from the same angle and another person's from any other.
    who = np.array([int(person) for person in arrays["ids"]])
    angle = np.array([VIEWS.index(view) for view in arrays["views"].tolist()])
    arrays["features"] = np.eye(4, dtype=np.float32)[(who + angle) % 4][:, :, None]
    report = evaluate(**arrays).conditions["nm"]
    assert np.diag(report.matrices["r1"]).tolist() == [100] * 3
    assert report.scores["r1"] == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(2, 12), st.integers(1, 4))
def test_average_precision_is_scikit_learns(seed: int, entries: int, right: int) -> None:
    draws = np.random.RandomState(seed)
    between = draws.permutation(entries)[None].astype(np.float32)
    same = np.zeros((1, entries), dtype=bool)
    same[0, draws.permutation(entries)[: min(right, entries)]] = True
    found = ranked(between, same)
    assert found["map"][0] == pytest.approx(average_precision_score(same[0], -between[0]))
    last = 1 + max(int((between[0] < between[0, k]).sum()) for k in np.flatnonzero(same[0]))
    assert found["minp"][0] == pytest.approx(same.sum() / last)


def test_cross_view_leaves_out_the_persons_own_angle_and_nothing_else() -> None:
    arrays = walks(seed=5, parts=1)
    f = arrays["features"][:, :, 0].astype(float)
    hits, precisions = [], []
    for i in np.flatnonzero(np.isin(arrays["types"], CROSS_PROBE)):
        entries = [
            j
            for j in np.flatnonzero(np.isin(arrays["types"], CROSS_GALLERY))
            if not (arrays["ids"][j] == arrays["ids"][i] and arrays["views"][j] == arrays["views"][i])
        ]
        far = np.array([np.linalg.norm(f[i] - f[j]) for j in entries])
        same = arrays["ids"][entries] == arrays["ids"][i]
        hits.append(same[far.argmin()])
        precisions.append(average_precision_score(same, -far))
    report = evaluate(**arrays)
    assert report.cross["r1"] == pytest.approx(100 * np.mean(hits))
    assert report.cross["map"] == pytest.approx(100 * np.mean(precisions))


def test_precision_leaves_out_probes_whose_person_is_not_in_the_gallery() -> None:
    between = np.array([[1.0, 2.0], [1.0, 2.0]], dtype=np.float32)
    scores = ranked(between, np.array([[False, True], [False, False]]))
    assert scores["r1"].tolist() == [0, 0]
    assert scores["map"][0] == scores["minp"][0] == 0.5
    assert np.isnan([scores["map"][1], scores["minp"][1]]).all()
    arrays = walks(seed=4)
    stranger = (arrays["ids"] == "100") & np.isin(arrays["types"], (*GALLERY, *CROSS_GALLERY))
    without = {name: values[~stranger] for name, values in arrays.items()}
    known = without["ids"] != "100"
    among = {name: values[known] for name, values in without.items()}
    report, alone = evaluate(**without), evaluate(**among)
    for name in ("nm_map", "bg_minp", "cross_map", "cross_minp"):
        assert report.scores()[name] == pytest.approx(alone.scores()[name])
    assert report.scores()["nm_r1"] == pytest.approx(alone.scores()["nm_r1"] * 5 / 6)


def test_cross_view_by_condition_is_a_mean_over_the_probes_angles() -> None:
    arrays = walks(seed=6)
    report = evaluate(**arrays)
    assert set(report.cross_conditions) == {"nm", "bg", "cl"}
    # With as many probes of each kind at each angle, the pooled score is the mean of the three.
    for score in ("r1", "map", "minp"):
        mean = np.mean([report.cross_conditions[name][score] for name in report.cross_conditions])
        assert report.cross[score] == pytest.approx(mean)
        assert report.scores()[f"cross_bg_{score}"] == report.cross_conditions["bg"][score]
    gone = (arrays["types"] == "nm-01") & (arrays["views"] == "018") & (arrays["ids"] != "100")
    fewer = evaluate(**{name: values[~gone] for name, values in arrays.items()})
    assert fewer.cross_conditions["bg"] == report.cross_conditions["bg"]
    assert fewer.cross_conditions["nm"] != report.cross_conditions["nm"]


def test_missing_walks_shrink_a_cell_and_a_missing_angle_is_no_number() -> None:
    arrays = walks()
    gone = (arrays["types"] == "bg-01") | ((arrays["views"] == "018") & np.isin(arrays["types"], PROBES["cl"]))
    kept = {name: values[~gone] for name, values in arrays.items()}
    report = evaluate(**kept)
    assert np.isnan(report.conditions["cl"].matrices["r1"][1]).all()
    assert np.isfinite(report.conditions["cl"].scores["r1"])
    mean, _ = brute(kept, "bg", "euclidean", 1, False)
    assert report.conditions["bg"].scores["r1"] == pytest.approx(mean)


def test_conditions_without_probes_are_named() -> None:
    arrays = walks()
    kept = {name: values[np.char.startswith(arrays["types"], "nm")] for name, values in arrays.items()}
    report = evaluate(**kept)
    assert report.missing == ("bg", "cl")
    assert report.cross == {"r1": report.cross["r1"], "map": report.cross["map"], "minp": report.cross["minp"]}


def test_views_and_ids_may_be_numbers() -> None:
    arrays = walks()
    as_numbers = arrays | {"views": arrays["views"].astype(int), "ids": arrays["ids"].astype(int)}
    report = evaluate(**as_numbers)
    assert report.conditions["nm"].views == VIEWS
    assert report.scores() == evaluate(**arrays).scores()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": np.zeros((4, 3))}, "expected floats"),
        ({"features": np.zeros((180, 5, 3), dtype=int)}, "expected floats"),
        ({"ids": np.array(["a"])}, "ids: expected 180 names"),
        ({"views": np.array([None] * 180)}, "views: expected 180 names"),
        ({"metric": "manhattan"}, "metric=manhattan: not one of euclidean, cosine"),
        ({"types": np.array(["xx-01"] * 180)}, "no gallery"),
        ({"types": np.array(["nm-01"] * 180)}, "no probe"),
        ({"views": np.array(["090"] * 180)}, "no probe has a gallery entry of another angle"),
    ],
)
def test_features_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        evaluate(**walks() | change)


def test_numbers_that_are_not_finite_are_refused() -> None:
    arrays = walks()
    arrays["features"][7, 0, 0] = np.nan
    with pytest.raises(ProtocolError, match="1 walks hold NaN"):
        evaluate(**arrays)


def sorted_whole(between: np.ndarray, same: np.ndarray) -> dict[str, np.ndarray]:
    """The scores by sorting every ranking whole, as their definitions read."""
    same = same & np.isfinite(between)
    hits = np.take_along_axis(same, np.argsort(between, axis=1, kind="stable"), axis=1)
    rank = np.arange(1, hits.shape[1] + 1)
    count = hits.sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        average = (np.cumsum(hits, axis=1) / rank * hits).sum(1) / count
        penalty = count / (hits * rank).max(1)
    return {"r1": hits[:, 0], "r5": hits[:, :5].any(1), "map": average, "minp": penalty}


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 40), st.integers(1, 6), st.floats(0, 1))
def test_ranks_are_those_of_sorting_whole_ties_included(seed: int, entries: int, values: int, share: float) -> None:
    draws = np.random.RandomState(seed)
    between = draws.randint(0, values, (7, entries)).astype(np.float32)
    between[draws.rand(7, entries) < 0.1] = np.inf
    same = draws.rand(7, entries) < share
    found, expected = ranked(between, same), sorted_whole(between, same)
    for name, values_of in expected.items():
        np.testing.assert_allclose(found[name], values_of, rtol=1e-12, err_msg=name)


def test_memory_is_bounded_by_the_features_not_by_their_pairs() -> None:
    arrays = walks(people=400, views=("000", "090"), channels=64, parts=1)  # 8,000 walks
    pairs = 4 * (400 * 2 * 2) * (400 * 4 * 2)  # bytes of the distances of one condition
    evaluate(**walks())  # what is imported and cached once
    tracemalloc.start()
    report = evaluate(**arrays)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < pairs
    assert report.conditions["nm"].matrices["r1"].shape == (2, 2)
