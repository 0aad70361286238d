import json
import pathlib

import keras
import numpy as np
import pytest

from keras_twins.detection.assignment import BOX_HEAD_MATCH
from keras_twins.detection.assignment import assign
from keras_twins.detection.sampling import sample
from tests.compiling import call_compiled
from tests.compiling import compiled
from tests.tiny import to_numpy

GOLDEN = pathlib.Path(__file__).parents[1] / "golden"


def candidates(positives, negatives, total=60, seed=0):
    """Returns assignments of one image in random order."""
    result = np.full(total, -1, "int32")
    result[:positives] = 1 + np.arange(positives)
    result[positives : positives + negatives] = 0
    return np.random.default_rng(seed).permutation(result)


def drawn(assigned, count, fraction, seed=0):
    """Returns a sample that is a right one."""
    return checked(
        assigned,
        count,
        call_compiled(lambda x: sample(x, count, fraction, seed), assigned),
    )


def checked(assigned, count, parts):
    """Returns arrays of a sample, after what holds for all."""
    positions, positive, chosen = (to_numpy(part) for part in parts)
    assert positions.dtype == "int32"
    assert positions.shape == positive.shape == chosen.shape
    assert positions.shape == (len(assigned), count)
    assert not positions[~chosen].any() and not positive[~chosen].any()
    for flags in (positive, chosen):
        assert (flags[:, :-1] >= flags[:, 1:]).all()
    for one, signs, some, all_of in zip(
        positions, positive, chosen, assigned, strict=True
    ):
        assert len(set(one[some])) == some.sum()
        np.testing.assert_array_equal(all_of[one[some]] > 0, signs[some])
        assert (all_of[one[some]] >= 0).all()
    return positions, positive, chosen


# Positive and negative ones there are, and how many of each are drawn.
@pytest.mark.parametrize(
    "there, expected",
    [
        ((30, 30), (5, 15)),
        ((3, 40), (3, 17)),
        ((0, 40), (0, 20)),
        ((40, 2), (5, 2)),
        ((2, 0), (2, 0)),
        ((0, 0), (0, 0)),
    ],
)
def test_counts_are_those_of_mmdetection(there, expected):
    assigned = np.stack([candidates(*there), candidates(9, 51)])
    _, positive, chosen = drawn(assigned, 20, 0.29)
    found = positive.sum(axis=1), (chosen & ~positive).sum(axis=1)
    assert [n[0] for n in found] == list(expected)
    assert [n[1] for n in found] == [5, 15]


@pytest.mark.parametrize("fraction", [0.0, 0.04, 1.0])
def test_shares_of_nothing_and_all(fraction):
    assigned = candidates(30, 30)[None]
    _, positive, chosen = drawn(assigned, 20, fraction)
    assert positive.sum() == int(20 * fraction)
    assert chosen.all()


def test_there_may_be_fewer_candidates_than_are_wanted():
    assigned = np.int32([[0, 2, -1, 0, 1]])
    positions, _, _ = drawn(assigned, 16, 0.5)
    assert set(positions[0, :2]) == {1, 4}
    assert set(positions[0, 2:4]) == {0, 3}


def test_every_candidate_has_the_same_chance():
    assigned = np.tile(candidates(20, 40), (400, 1))
    positions, _, chosen = drawn(assigned, 20, 0.5)
    assert chosen.all()
    shares = np.bincount(positions.ravel(), minlength=60) / 400
    expected = np.where(assigned[0] > 0, 10 / 20, 10 / 40)
    # Five standard deviations.
    np.testing.assert_allclose(shares, expected, atol=0.125)


def test_draws_follow_the_seed():
    assigned = candidates(30, 30)[None]
    first, again, other = (
        drawn(assigned, 20, 0.5, seed)[0].tolist() for seed in (3, 3, 4)
    )
    assert first == again != other
    generator = keras.random.SeedGenerator(3)
    one, next_one = (
        to_numpy(sample(assigned, 20, 0.5, generator).positions).tolist()
        for _ in range(2)
    )
    assert one != next_one


def test_it_compiles():
    assigned = np.stack([candidates(30, 30), candidates(2, 5)])

    def run(assigned):
        return sample(assigned, 20, 0.5, seed=0)

    # Compilers have generators of their own.
    for function in compiled(run):
        _, positive, chosen = checked(assigned, 20, function(assigned))
        assert positive.sum(axis=1).tolist() == [10, 2]
        assert chosen.sum(axis=1).tolist() == [20, 7]


@pytest.mark.parametrize("letter", ["A", "B"])
def test_samples_of_a_whole_model(letter):
    path = GOLDEN / "mmdet_maskrcnn_twins.npz"
    golden, keys = np.load(path), f"maskrcnn_svt_small/{letter}/"
    cases = json.loads(path.with_suffix(".json").read_text())["cases"]
    boxes = np.float32([cases["AB".index(letter)]["gt_bboxes"]])
    valid = np.ones(boxes.shape[:2], bool)
    proposals = golden[f"{keys}train_proposals"]
    regions = call_compiled(
        lambda x: assign(x, boxes, valid, BOX_HEAD_MATCH), proposals
    )
    # Each ground truth is a region of its own, before the proposals.
    own = 1 + np.arange(boxes.shape[1], dtype="int32")[None]
    regions = np.concatenate([own, to_numpy(regions)], axis=1)
    anchors = golden[f"{keys}rpn_assign_gt_inds"].astype("int32")[None]
    for name, assigned, count, fraction in (
        ("rpn", anchors, 256, 0.5),
        ("rcnn", regions, 512, 0.25),
    ):
        positions, positive, chosen = drawn(assigned, count, fraction)
        # There are few positive ones, and all are drawn.
        expected = golden[f"{keys}{name}_sampled_pos"]
        assert sorted(positions[positive]) == sorted(expected)
        negatives = len(golden[f"{keys}{name}_sampled_neg"])
        assert (chosen & ~positive).sum() == negatives
        if name == "rcnn":
            taken = golden[f"{keys}rcnn_sampled_pos_gt"]
            np.testing.assert_array_equal(assigned[0, expected] - 1, taken)


@pytest.mark.parametrize(
    "arguments", [{"count": 0}, {"positive_fraction": 1.5}]
)
def test_wrong_arguments_are_named(arguments):
    (name,) = arguments
    right = {"count": 4, "positive_fraction": 0.5, "seed": 0}
    with pytest.raises(ValueError, match=f"Received: {name}="):
        sample(np.zeros((1, 4), "int32"), **{**right, **arguments})
