import dataclasses

import keras
import pytest
from keras import layers as keras_layers

from keras_twins import layers
from keras_twins import ops
from keras_twins.backbone import TwinsBackbone
from keras_twins.config import VARIANTS
from keras_twins.config import TwinsConfig
from keras_twins.flops import count_flops

# Published GMACs at 224x224. README and paper of the authors, model-zoo page
# of mmpretrain, results table of timm.
PUBLISHED = {
    "pcpvt_small": (3.7, 3.8, 3.67, 3.83),
    "pcpvt_base": (6.4, 6.7, 6.45, 6.68),
    "pcpvt_large": (9.5, 9.8, 9.51, 9.84),
    "svt_small": (2.8, 2.9, 2.82, 2.94),
    "svt_base": (8.3, 8.6, 8.35, 8.59),
    "svt_large": (14.8, 15.1, 14.82, 15.15),
}
PARAMETERS = {
    "pcpvt_small": 24_106_216,
    "pcpvt_base": 43_828_456,
    "pcpvt_large": 60_989_672,
    "svt_small": 24_060_776,
    "svt_base": 56_070_952,
    "svt_large": 99_271_400,
}
TINY = TwinsConfig(
    embed_dims=(8, 16, 32, 64),
    depths=(2, 2, 2, 2),
    num_heads=(1, 2, 2, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("LG",) * 4,
)


def classifier(config, shape=(None, None, 3), classes=10):
    backbone = TwinsBackbone(config, image_shape=shape)
    x = keras_layers.GlobalAveragePooling2D()(backbone.output)
    return keras.Model(backbone.input, keras_layers.Dense(classes)(x))


def model_of(layer, *shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, layer(inputs[0] if len(inputs) == 1 else inputs))


def macs(layer, shape):
    """Counts a layer; the result is `(projections, attention)`."""
    count = count_flops(model_of(layer, shape))
    assert count.uncounted == ()
    return count.macs_projections, count.macs_attention


@pytest.mark.parametrize("variant", VARIANTS)
def test_published_macs_and_parameters(variant):
    model = classifier(VARIANTS[variant], classes=1000)
    count = count_flops(model, (224, 224, 3))
    readme, paper, mmpretrain, timm = PUBLISHED[variant]
    assert round(count.macs("readme") / 1e9, 1) == readme
    assert round(count.total_macs / 1e9, 1) == paper
    assert round(count.macs("mmpretrain") / 1e9, 2) == mmpretrain
    assert round(count.macs("timm") / 1e9, 2) == timm
    assert count.parameters == PARAMETERS[variant]
    assert count.uncounted == ()


def test_totals_are_sums_of_the_rows():
    count = count_flops(classifier(TINY), (64, 96, 3))
    assert count.input_shape == (64, 96, 3)
    assert count.macs() == count.total_macs
    assert count.flops == 2 * sum(row.macs for row in count.by_layer)
    assert count.parameters == sum(row.parameters for row in count.by_layer)
    by_name = {row.name: row for row in count.by_layer}
    assert by_name["stage1_block0"].kind == "TwinsBlock"
    assert by_name["stage1_block0"].output_shape == (None, 8, 12, 16)


@pytest.mark.parametrize("size", [(64, 64), (75, 118)])
@pytest.mark.parametrize(
    "change",
    [
        {},
        {"patch_padding": "corner", "window_padding": "masked"},
        {"reduction": "average_pool", "output_norms": True},
        {"attention_pattern": ("L", "G", "LLG", "G")},
    ],
)
def test_agrees_with_the_operations_that_torch_runs(size, change):
    if keras.backend.backend() != "torch":
        pytest.skip("counts what PyTorch runs")
    from torch.utils.flop_counter import FlopCounterMode

    model = classifier(dataclasses.replace(TINY, **change))
    # Its counter does not know the fused attention of the fast paths.
    with FlopCounterMode(display=False) as counter, ops.fast_paths(False):
        model(keras.ops.ones((2, *size, 3)))
    count = count_flops(model, (*size, 3))
    assert counter.get_total_flops() == 2 * 2 * count.total_macs


def test_window_padding_is_counted():
    lsa = layers.LocallyGroupedAttention(num_heads=2, window_size=7)
    # A map of 8x15 is computed as one of 14x21, the projection as 8x15.
    projections = 14 * 21 * 16 * 3 * 16 + 8 * 15 * 16 * 16
    assert macs(lsa, (8, 15, 16)) == (projections, 2 * 14 * 21 * 49 * 16)


@pytest.mark.parametrize(
    ("reduction", "cost"),
    [
        ("conv", 2 * 3 * 16 * 16 * 16),
        ("depthwise_conv", 2 * 3 * 16 * 16),
        ("average_pool", 0),
    ],
)
def test_sub_sampling_is_counted(reduction, cost):
    gsa = layers.GlobalSubsampledAttention(2, sr_ratio=4, reduction=reduction)
    projections = 2 * 8 * 15 * 16 * 16 + 2 * 3 * 16 * 32 + cost
    assert macs(gsa, (8, 15, 16)) == (projections, 2 * 8 * 15 * 2 * 3 * 16)


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (keras_layers.Conv1D(5, 3), (10, 4), 8 * 5 * 3 * 4),
        (
            keras_layers.Conv2D(6, (3, 2), strides=2, groups=2),
            (9, 8, 4),
            4 * 4 * 6 * (3 * 2 * 2),
        ),
        (keras_layers.Conv3D(2, 2), (4, 4, 4, 3), 27 * 2 * 8 * 3),
        (
            keras_layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
            (9, 8, 4),
            9 * 8 * 8 * 9,
        ),
        (
            keras_layers.SeparableConv2D(5, 3, depth_multiplier=2),
            (9, 8, 4),
            7 * 6 * (8 * 9 + 8 * 5),
        ),
        (
            keras_layers.Conv2DTranspose(5, 3, strides=2),
            (9, 8, 4),
            9 * 8 * 4 * 5 * 9,
        ),
        (keras_layers.Dense(5), (9, 8, 4), 9 * 8 * 4 * 5),
        (
            keras_layers.EinsumDense("abc,cde->abde", (None, 2, 3)),
            (7, 4),
            7 * 4 * 2 * 3,
        ),
        (
            keras_layers.EinsumDense("...x,xy->...y", 5),
            (7, 4),
            7 * 4 * 5,
        ),
        (layers.MLP(12), (7, 4), 2 * 7 * 4 * 12),
        (layers.PositionEncodingGenerator(), (7, 5, 4), 7 * 5 * 4 * 9),
        (
            layers.PatchEmbedding(6, 4, patch_padding="corner"),
            (7, 9, 3),
            2 * 3 * 6 * 48,
        ),
        (keras_layers.BatchNormalization(), (7, 5, 4), 0),
        (keras_layers.MaxPooling2D(), (7, 5, 4), 0),
        (keras_layers.PReLU(), (7, 5, 4), 0),
    ],
)
def test_layers_by_hand(layer, shape, expected):
    assert macs(layer, shape) == (expected, 0)


@keras.saving.register_keras_serializable(package="test_flops")
class Scaled(keras_layers.Layer):
    def build(self, input_shape):
        self.scale = self.add_weight(shape=(input_shape[-1],))

    def call(self, inputs):
        return inputs * self.scale


def test_unknown_layers_are_named():
    inputs = keras.Input((7, 4))
    x = Scaled(name="scaled")(inputs)
    x = keras_layers.Dot(axes=2, name="dot")([x, inputs])
    count = count_flops(keras.Model(inputs, keras_layers.Dense(5)(x)))
    assert count.uncounted == ("scaled", "dot")
    assert count.total_macs == 7 * 7 * 5
    assert count.parameters == 4 + 7 * 5 + 5


def test_a_layer_of_unknown_size_is_named():
    inputs = keras.Input((4,))
    x = keras_layers.Reshape((2, 2), name="reshape")(inputs)
    x = keras_layers.Lambda(lambda x: x, output_shape=(None, 2))(x)
    model = keras.Model(inputs, keras_layers.Dense(3, name="dense")(x))
    assert count_flops(model).uncounted == ("dense",)


def test_nested_and_shared_layers():
    backbone = TwinsBackbone(TINY)
    shared = keras_layers.Dense(64, name="shared")
    inputs = keras.Input((64, 64, 3))
    x = shared(shared(backbone(inputs)))
    count = count_flops(keras.Model(inputs, x))
    own = count_flops(backbone, (64, 64, 3))
    assert count.total_macs == own.total_macs + 2 * 2 * 2 * 64 * 64
    assert count.parameters == own.parameters + 64 * 64 + 64
    rows = [(row.name, row.parameters) for row in count.by_layer]
    assert rows[0][0] == "twins_backbone/stage0_patch_embedding"
    assert rows[-2:] == [("shared", 64 * 64 + 64), ("shared", 0)]


def test_sequential_models_and_several_inputs():
    sequential = keras.Sequential([keras.Input((7,)), keras_layers.Dense(5)])
    assert count_flops(sequential).total_macs == 7 * 5
    a, b = keras.Input((7,), name="a"), keras.Input((3,), name="b")
    x = keras_layers.Concatenate()([a, sequential(a), b])
    model = keras.Model({"a": a, "b": b}, keras_layers.Dense(2)(x))
    count = count_flops(model)
    assert count.total_macs == 7 * 5 + (7 + 5 + 3) * 2
    assert count.input_shape == ((7,), (3,))
    with pytest.raises(ValueError, match="one input.*input_shape=\\(7,\\)"):
        count_flops(model, (7,))


def test_the_model_is_left_as_it_is():
    model = classifier(TINY)
    model.compile("adam", "mse")
    optimizer = model.optimizer
    before = model.to_json()
    nodes = [len(layer._inbound_nodes) for layer in model.layers]
    count_flops(model, (64, 64, 3))
    assert model.to_json() == before
    assert [len(layer._inbound_nodes) for layer in model.layers] == nodes
    assert model.optimizer is optimizer
    assert not optimizer.built


def test_dynamic_models_need_a_shape():
    with pytest.raises(ValueError, match="input_shape.*needed.*224"):
        count_flops(classifier(TINY))


@pytest.mark.parametrize(
    "shape", [(64, 64), (64, 64, 4), (None, 64, 3), (64, 0, 3), (2, 64, 64, 3)]
)
def test_shapes_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="`input_shape` must be"):
        count_flops(classifier(TINY), shape)


def test_a_static_model_keeps_its_shape():
    model = classifier(TINY, (64, 96, 3))
    assert count_flops(model) == count_flops(model, (64, 96, 3))
    with pytest.raises(ValueError, match=r"fit.*\(96, 96, 3\)"):
        count_flops(model, (96, 96, 3))


def test_images_that_are_too_small_are_refused():
    with pytest.raises(ValueError, match="at least"):
        count_flops(classifier(TINY), (16, 64, 3))


def test_other_models_are_refused():
    for model in (keras.Sequential(), keras_layers.Dense(3)):
        with pytest.raises(ValueError, match="functional"):
            count_flops(model, (7,))


def test_unknown_conventions_are_refused():
    count = count_flops(model_of(keras_layers.Dense(3), (7,)))
    with pytest.raises(ValueError, match="'timm'.*convention='fvcore'"):
        count.macs("fvcore")
