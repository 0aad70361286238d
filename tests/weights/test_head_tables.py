"""The tables of the detectors against the names of mmdetection's models."""

import numpy as np
import pytest

from keras_twins.config import VARIANTS
from keras_twins.weights.code_bases import DENSE_HEADS
from keras_twins.weights.dense_files import identify_dense
from keras_twins.weights.detection_heads import DETECTION_HEADS
from keras_twins.weights.dialects import dense_config
from keras_twins.weights.head_naming import head_layers
from keras_twins.weights.head_naming import head_pairs
from keras_twins.weights.head_naming import head_task
from keras_twins.weights.naming import FLATTENED_REGION
from keras_twins.weights.naming import TRANSPOSED_CONVOLUTION
from keras_twins.weights.naming import expected_pairs
from keras_twins.weights.unwrapping import unwrap
from tests.weights_port.files import manifest

MODELS = {
    "retinanet": "mmdet_retinanet_twins",
    "mask_rcnn": "mmdet_maskrcnn_twins",
}
UNUSED = {"norm.weight", "norm.bias", "head.weight", "head.bias"}


def entry(head: str, variant: str) -> dict:
    name = MODELS[head]
    return manifest(name)["models"][f"{name.split('_')[1]}_{variant}"]


def hollow(head: str, variant: str) -> dict[str, np.ndarray]:
    """Returns tensors of the right shapes that take no memory."""
    zero = np.zeros((), np.float32)
    rows = entry(head, variant)["state_dict"]
    return {key: np.broadcast_to(zero, shape) for key, shape, _ in rows}


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("head", DETECTION_HEADS)
def test_every_tensor_of_a_real_model_is_used_once(head, variant):
    state, _ = unwrap(hollow(head, variant))
    found = identify_dense(state)
    assert (found.head, found.naming) == (head, "official")
    assert found.dialect == "official_detection"
    assert set(found.left_out) == UNUSED
    config = dense_config(variant, found.dialect, found.output_norms)
    pairs = expected_pairs(config, include_top=False, final_norm=False)
    pairs += head_pairs(head)
    sources = [pair.source for pair in pairs]
    assert len(set(sources)) == len(sources)
    assert set(sources) == set(found.state)
    assert len({pair.path for pair in pairs}) == len(pairs)


def test_heads_and_their_layers():
    assert head_task("upernet") == "segmentation"
    assert head_task("mask_rcnn") == "detection"
    assert {"neck", "decode_head", "auxiliary_head", "box_head"} <= {
        *head_layers()
    }
    sources = [pair.source for h in DETECTION_HEADS for pair in head_pairs(h)]
    assert all(source.startswith(DENSE_HEADS) for source in sources)


def test_the_first_dense_layer_takes_channels_last():
    side, channels, outputs = 7, 3, 5
    shape = (outputs, channels * side * side)
    torch = np.arange(np.prod(shape), dtype="float32").reshape(shape)
    found = FLATTENED_REGION.to_keras(torch)
    assert found.shape == FLATTENED_REGION.keras_shape(shape) == shape[::-1]
    for row, column, channel in ((0, 0, 0), (6, 2, 1), (3, 5, 2)):
        np.testing.assert_array_equal(
            found[(row * side + column) * channels + channel],
            torch[:, (channel * side + row) * side + column],
        )
    np.testing.assert_array_equal(FLATTENED_REGION.to_torch(found), torch)


def test_the_kernel_of_a_transposed_convolution():
    torch = np.arange(3 * 4 * 2 * 2, dtype="float32").reshape(3, 4, 2, 2)
    found = TRANSPOSED_CONVOLUTION.to_keras(torch)
    for (source, target, row, column), value in np.ndenumerate(torch):
        assert found[row, column, target, source] == value
    np.testing.assert_array_equal(TRANSPOSED_CONVOLUTION.to_torch(found), torch)
