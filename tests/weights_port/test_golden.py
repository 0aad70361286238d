import numpy as np
import pytest

from tests.weights_port.files import GOLDEN
from tests.weights_port.files import manifest
from weights_port.golden import content_digest
from weights_port.golden import digest
from weights_port.golden import rule_image
from weights_port.golden import rule_state
from weights_port.golden import rule_tensor


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("cls_timm", "svt_small"),
        ("cls_mmpretrain", "pcpvt_small"),
        ("eps_probe_official", "cls_svt_small"),  # with scaled tensors
    ],
)
def test_weights_are_those_of_the_reference(name, model):
    entry = manifest(name)["models"][model]
    assert digest(rule_state(entry)) == entry["weights_sha256"]


def test_batch_norms_follow_the_rule():
    assert rule_tensor("bn.num_batches_tracked", ()).dtype == np.int64
    assert (rule_tensor("bn.running_var", (64,)) >= 1).all()
    mean = rule_tensor("bn.running_mean", (64,))
    assert mean.dtype == np.float32 and abs(mean).max() < 1


def test_images_are_channels_last():
    case = manifest("cls_timm")["cases"][0]
    images = rule_image(case["seed"], case["input_shape"])
    batch, channels, height, width = case["input_shape"]
    assert images.shape == (batch, height, width, channels)
    flat = np.random.Generator(np.random.PCG64(case["seed"])).standard_normal(
        5, dtype=np.float32
    )
    np.testing.assert_array_equal(images[0, 0, :5, 0], flat)


def test_content_digest_ignores_order_only():
    state = {"a": np.ones(3, "float32"), "b": np.zeros((2, 2), "float32")}
    turned = dict(reversed(state.items()))
    assert content_digest(turned) == content_digest(state)
    for changed in (
        state | {"b": np.zeros((4,), "float32")},
        state | {"a": np.ones(3, "float64")},
        state | {"c": np.ones(3, "float32")},
        state | {"a": np.array([1, 1, 2], "float32")},
    ):
        assert content_digest(changed) != content_digest(state)


def test_reference_files_exist():
    assert len(list(GOLDEN.glob("cls_*.npz"))) == 3
