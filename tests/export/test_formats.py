"""Every format in its own runtime, on two small architectures.

The first takes raw pixels and gives class probabilities, the second
normalises inside and gives the four maps of the pyramid.
"""

import collections
import dataclasses
import math
import pathlib
import subprocess
import sys
import textwrap

import keras
import numpy as np
import pytest

import keras_twins
from keras_twins.data import load_digits
from keras_twins.export import export_model
from keras_twins.export import exportable_formats
from keras_twins.export import load_artifact
from keras_twins.export.formats import FORMATS
from keras_twins.export.onnx_file import OPSET
from tests.tiny import MINIMAL
from tests.tiny import PCPVT
from tests.tiny import randomise

SIZE = (40, 33)

GLOBAL = dataclasses.replace(PCPVT, depths=(1, 1, 1, 1))

# Operators that the documentation of onnx-tensorrt 10 lists without a
# restriction that would bite here.
TENSORRT = set(
    """
    Abs Add And Cast Concat Constant ConstantOfShape Conv Div Equal Erf Exp
    Expand Gather Gelu Gemm GlobalAveragePool Greater Identity
    LayerNormalization Less MatMul Max Min Mod Mul Neg Not Or Pad Pow Range
    Reciprocal ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Reshape
    Shape Slice Softmax Split Sqrt Squeeze Sub Sum Tanh Tile Transpose
    Unsqueeze Where
    """.split()  # noqa: SIM905 - to be compared with the documentation
)

BACKEND = keras.backend.backend()

for format in FORMATS.values():
    if format.name in exportable_formats():
        for package in format.needs(BACKEND, "int8") + format.runtime:
            pytest.importorskip(package)


def path_for(folder: pathlib.Path, name: str) -> pathlib.Path:
    return folder / f"model{FORMATS[name].suffix}"


def digits(count: int) -> np.ndarray:
    """Returns handwritten digits in the middle of grey images."""
    _, (images, _) = load_digits(32, channels=3)
    padding = ((0, 0), (4, 4), (0, 1), (0, 0))
    padded = np.pad(images[:count], padding, constant_values=90)
    return padded.round().astype("uint8")


@pytest.fixture(scope="module")
def classifier() -> keras.Model:
    model = keras_twins.classifier(MINIMAL, input_shape=(*SIZE, 3), classes=5)
    randomise(model)
    return model


@pytest.fixture(scope="module")
def pyramid() -> keras.Model:
    backbone = keras_twins.TwinsBackbone(GLOBAL)
    randomise(backbone)
    return backbone.feature_model([0, 1, 2, 3])


@pytest.fixture(scope="module")
def artifacts(classifier, tmp_path_factory) -> dict[str, pathlib.Path]:
    """Returns the classifier in the formats that the backend writes.

    OpenVINO takes its graph from the ONNX file, whatever the backend.
    """
    left_out = {"openvino"} if BACKEND == "torch" else set()
    paths = {}
    for name in set(exportable_formats()) - left_out:
        paths[name] = path_for(tmp_path_factory.mktemp(name), name)
        report = export_model(
            classifier,
            paths[name],
            name,
            input_dtype="uint8",
            images=digits(9),
        )
        assert report.max_abs_difference < 1e-5
        assert report.top1_agreement == 1
        assert report.bytes > 4 * classifier.count_params()
    return paths


@pytest.mark.parametrize("name", FORMATS)
def test_raw_pixels_to_classes(artifacts, classifier, name):
    if name not in artifacts:
        pytest.skip("written by another backend")
    run = load_artifact(artifacts[name], name)
    images = digits(3)
    expected = classifier.predict(images.astype("float32"), verbose=0)
    for batch in (1, 3):
        (outputs,) = run(images[:batch])
        np.testing.assert_allclose(outputs, expected[:batch], atol=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_paths_of_this_machine_stay_here(artifacts, name):
    if name not in artifacts:
        pytest.skip("written by another backend")
    path = artifacts[name]
    files = [file for file in (path, *path.rglob("*")) if file.is_file()]
    assert files
    root = str(pathlib.Path(keras_twins.__file__).parents[1]).encode()
    for file in files:
        content = file.read_bytes()
        assert root not in content, file
        assert b"site-packages" not in content, file


# The file for OpenVINO is made from that for ONNX Runtime.
@pytest.mark.parametrize("name", sorted(set(FORMATS) - {"onnx"}))
def test_pyramid_with_preprocessing(pyramid, tmp_path, name):
    if name not in exportable_formats():
        pytest.skip("written by another backend")
    images = digits(2).astype("float32")
    path = path_for(tmp_path, name)
    report = export_model(
        pyramid, path, name, preprocess=True, image_size=SIZE, images=images
    )
    assert report.top1_agreement is None
    pixels = keras_twins.preprocessing.normalize(images)
    maps = load_artifact(path, name)(images)
    expected = pyramid.predict(pixels, verbose=0)
    assert [x.shape for x in maps] == [x.shape for x in expected]
    for received, wanted in zip(maps, expected, strict=True):
        np.testing.assert_allclose(received, wanted, atol=1e-4)


@pytest.mark.parametrize("name", ["saved_model", "onnx"])
def test_open_size(tmp_path, name):
    if BACKEND not in FORMATS[name].open_size:
        pytest.skip("fixed sizes only")
    model = keras_twins.TwinsBackbone(MINIMAL)
    path = path_for(tmp_path, name)
    export_model(model, path, name, images=np.ones((1, 64, 96, 3)))
    run = load_artifact(path, name)
    for shape in ((2, 70, 33, 3), (1, 32, 64, 3)):
        images = np.random.default_rng(0).normal(size=shape).astype("float32")
        (outputs,) = run(images)
        np.testing.assert_allclose(
            outputs, model.predict(images, verbose=0), atol=1e-4
        )


def test_formats_of_fixed_size_say_so(pyramid, tmp_path):
    for name in ("litert", "torch"):
        with pytest.raises(ValueError, match=r"fixed height.*`image_size`"):
            export_model(pyramid, path_for(tmp_path, name), name)


@pytest.mark.parametrize(
    ("name", "precision", "batch_size"),
    [
        ("litert", "float16", None),
        # Other int8 files: test_int8.py, where a trained model has classes that
        # rounding does not change. That of a random one is chance.
        ("litert", "int8", 4),
        ("openvino", "float16", None),
    ],
)
def test_precisions(classifier, tmp_path, name, precision, batch_size):
    if BACKEND != "tensorflow":
        pytest.skip("what comes after the graph is the same everywhere")
    images = digits(18).astype("float32")
    report = export_model(
        classifier,
        path_for(tmp_path, name),
        name,
        precision=precision,
        batch_size=batch_size,
        images=images,
        representative_images=images,
        tolerance=0.02 if precision == "float16" else 0.3,
        min_agreement=0.9,
    )
    assert report.precision == precision
    # More than rounding in float32: it is what it says.
    assert report.max_abs_difference > 1e-5


def test_litert_has_built_in_operators_only(artifacts):
    if "litert" not in artifacts:
        pytest.skip("not written by this backend")
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(artifacts["litert"]))
    operators = {x["op_name"] for x in interpreter._get_ops_details()}
    assert {"FULLY_CONNECTED", "GELU", "SOFTMAX"} <= operators
    for name in operators:
        assert not name.startswith(("Flex", "CUSTOM")), name
    # What asks for shapes as it runs is in pieces for a delegate.
    assert "SHAPE" not in operators


def test_onnx_is_for_every_runtime(artifacts):
    if "onnx" not in artifacts:
        pytest.skip("not written by this backend")
    import onnx

    model = onnx.load(artifacts["onnx"])
    onnx.checker.check_model(model, full_check=True)
    assert [(x.domain, x.version) for x in model.opset_import] == [("", OPSET)]
    # TensorRT 10 documents 9 to 20.
    assert OPSET <= 20
    counts = collections.Counter(node.op_type for node in model.graph.node)
    assert set(counts) <= TENSORRT
    # One node for each norm: of four patch embeddings, two in each of four
    # blocks, one in the only reduction, and the final one.
    assert counts["LayerNormalization"] == 4 + 2 * 4 + 1 + 1
    assert not model.functions and not model.metadata_props
    assert [x.name for x in model.graph.input] == ["images"]
    assert [x.name for x in model.graph.output] == ["output_0"]
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert not batch.HasField("dim_value")


def test_onnx_runtime_knows_the_gelu(artifacts, tmp_path):
    if "onnx" not in artifacts:
        pytest.skip("not written by this backend")
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    onnxruntime.InferenceSession(
        artifacts["onnx"], options, providers=["CPUExecutionProvider"]
    )
    optimized = onnx.load(tmp_path / "optimized.onnx")
    kinds = [node.op_type for node in optimized.graph.node]
    assert "Erf" not in kinds
    assert sum(kind.endswith("Gelu") for kind in kinds) == 4


def test_the_torch_program_has_each_weight_once(artifacts, classifier):
    if "torch" not in artifacts:
        pytest.skip("not written by this backend")
    import torch

    program = torch.export.load(artifacts["torch"])
    kept = [*program.state_dict.values(), *program.constants.values()]
    counts = [x.numel() for x in kept if x.numel() > 1]
    weights = [math.prod(w.shape) for w in classifier.weights]
    assert sum(counts) < 1.01 * sum(weights)


def test_saved_model_needs_tensorflow_alone(artifacts, tmp_path):
    """Its signature, by name, where Keras cannot be imported."""
    if "saved_model" not in artifacts:
        pytest.skip("not written by this backend")
    np.save(tmp_path / "images.npy", digits(2))
    code = f"""
        import sys
        for blocked in ("keras", "keras_twins", "jax", "torch"):
            sys.modules[blocked] = None
        import numpy, tensorflow
        loaded = tensorflow.saved_model.load({str(artifacts["saved_model"])!r})
        assert sorted(loaded.signatures) == ["serve", "serving_default"]
        serve = loaded.signatures["serving_default"]
        (spec,) = serve.structured_input_signature[1].values()
        assert spec.name == "images" and spec.dtype == "uint8", spec
        assert spec.shape.as_list() == [None, {SIZE[0]}, {SIZE[1]}, 3], spec
        images = numpy.load({str(tmp_path / "images.npy")!r})
        outputs = serve(images=tensorflow.constant(images))
        assert list(outputs) == ["output_0"]
        assert outputs["output_0"].shape == (2, 5)
    """
    subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, text=True
    )


ELSEWHERE = {
    "tensorflow": ("torch", "torch"),
    "jax": ("onnx", "tensorflow"),
    "torch": ("saved_model", "tensorflow"),
}
"""A format that a backend does not write, and the backend that does."""


def test_written_by_another_backend(classifier, tmp_path):
    name, writer = ELSEWHERE[BACKEND]
    for package in FORMATS[name].needs(writer, "float32"):
        pytest.importorskip(package)
    path = path_for(tmp_path, name)
    # What a model was trained with does not matter.
    classifier.compile("sgd", loss=lambda y, x: keras.ops.mean(x))
    report = export_model(
        classifier, path, name, input_dtype="uint8", images=digits(3)
    )
    assert report.max_abs_difference < 1e-5
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


@pytest.fixture(scope="module")
def published() -> keras.Model:
    if BACKEND != "tensorflow":
        pytest.skip("takes long; the graph is that of the small models")
    return keras_twins.TwinsSVTSmall(
        weights=None, classes=10, input_shape=(224, 224, 3)
    )


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("saved_model", marks=pytest.mark.slow),
        pytest.param("litert", marks=pytest.mark.slow),
        "onnx",
    ],
)
def test_published_architecture(published, tmp_path, name):
    images = np.zeros((1, 224, 224, 3), "float32")
    images[:, 92:132, 100:133] = digits(1)
    path = path_for(tmp_path, name)
    report = export_model(published, path, name, images=images)
    assert report.max_abs_difference < 1e-5
    # Each weight once, and little beside.
    assert 0.98 < report.bytes / (4 * published.count_params()) < 1.05
