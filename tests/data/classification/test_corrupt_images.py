import io
import logging
import re

import numpy as np
import pytest

from keras_twins.data.classification.corrupt_images import CorruptImages
from keras_twins.data.classification.decoding import decode_image
from keras_twins.data.classification.image_dataset import Reading
from keras_twins.data.classification.image_rows import process_rows
from keras_twins.data.classification.image_rows import replace_bad
from keras_twins.data.classification.image_rows import report_bad
from tests.data.classification.image_files import make_set

Image = pytest.importorskip("PIL.Image")
tf = pytest.importorskip("tensorflow")


def noise(mode="RGB", size=(24, 17)):
    shape = (*size, len(mode))
    values = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    return Image.fromarray(values.squeeze(), mode=None).convert(mode)


def encoded(image, **options):
    file = io.BytesIO()
    image.save(file, **options)
    return file.getvalue()


def as_pillow(content):
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (noise(), {"format": "JPEG", "quality": 80}),
        (noise(), {"format": "JPEG", "quality": 95, "subsampling": 0}),
        (noise(), {"format": "JPEG", "progressive": True}),
        (noise("L"), {"format": "JPEG"}),
        (noise(), {"format": "PNG"}),
        (noise("RGBA"), {"format": "PNG"}),
        (noise("L"), {"format": "PNG"}),
        (noise().quantize(16), {"format": "PNG"}),
    ],
    ids=["jpeg", "444", "progressive", "grey", "png", "alpha", "l", "palette"],
)
def test_pixels_are_those_of_pillow(image, options):
    content = encoded(image, **options)
    pixels = decode_image(tf.constant(content))
    np.testing.assert_array_equal(pixels, as_pillow(content))


def test_four_inks_differ_by_rounding():
    content = encoded(noise("CMYK"), format="JPEG", quality=95)
    pixels = decode_image(tf.constant(content)).numpy().astype(int)
    assert np.abs(pixels - as_pillow(content)).max() <= 2


def test_the_policy():
    assert CorruptImages().policy == "error"
    with pytest.raises(ValueError, match="error, skip. Received.*'ignore'"):
        CorruptImages("ignore")


def brighten(row):
    pixels = tf.cast(decode_image(row["content"]), tf.float32)
    return tf.ensure_shape(pixels, (8, 8, 3)) + 100


def images(dataset, corrupt, process=brighten, passes=1, batch_size=5):
    rows = dataset.read(Reading(None, 1)).repeat(passes)
    batches = process_rows(rows, process, 8, batch_size)
    return replace_bad(report_bad(batches, process, corrupt))


def colours(batches):
    return [
        (batch["image"][:, 0, 0, 0] - 100).astype(int).tolist()
        for batch in batches.as_numpy_iterator()
    ]


@pytest.fixture
def dataset(tmp_path):
    """Numbers 0, 3, 6, 9, 1; 4, 7, 10, 2, 5; 8, in this order."""
    return make_set(tmp_path)


def spoil(folder, number, content=b""):
    (path,) = folder.glob(f"train/*/{number:02}.png")
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("batch_size", [1, 5, 17, 20])
def test_rows_keep_their_order(dataset, batch_size):
    once = [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8]
    found = images(dataset, CorruptImages(), passes=4, batch_size=batch_size)
    wanted = (once * 4)[: 44 // batch_size * batch_size]
    assert sum(colours(found), []) == wanted


def test_an_error_names_the_file(dataset, tmp_path):
    name = spoil(tmp_path, 9, b"\x89PNG\r\n\x1a\n and no more")
    batches = images(dataset, CorruptImages())
    with pytest.raises(tf.errors.InvalidArgumentError) as info:
        colours(batches)
    message = str(info.value)
    assert re.search(f"ValueError: {re.escape(name)} cannot be dec", message)
    assert '`CorruptImages("skip")`' in message


def test_others_take_the_place_of_what_is_skipped(dataset, tmp_path, caplog):
    bad = [spoil(tmp_path, 1), spoil(tmp_path, 9, b"\xff\xd8\xff\xe0 cut")]
    corrupt = CorruptImages("skip")
    with caplog.at_level(logging.WARNING):
        found = list(images(dataset, corrupt, passes=2).as_numpy_iterator())
    # 9 and 1 end the first batch: its beginning follows them. They come
    # again later.
    first = found[0]["image"][:, 0, 0, 0] - 100
    assert first.tolist() == [0, 3, 6, 0, 0]
    assert found[0]["label"].tolist() == [0] * 5
    assert found[0]["position"].tolist() == [0, 1, 2, 3, 4]
    # Each is told once, and counted whenever it is left out.
    assert corrupt.count == 4
    assert sorted(corrupt.names) == sorted(bad)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 2
    assert any(f"{bad[0]} is left out: the file is empty" in x for x in lines)


def test_a_batch_without_any_image(dataset, tmp_path):
    for number in (0, 3, 6, 9, 1):
        spoil(tmp_path, number)
    batches = images(dataset, CorruptImages("skip"))
    with pytest.raises(tf.errors.InvalidArgumentError, match="No image of a b"):
        colours(batches)


def test_faults_of_the_processing_are_not_those_of_files(dataset):
    def fails(row):
        pixels = brighten(row)
        broken = tf.debugging.assert_less(pixels, 103.0, "too bright")
        with tf.control_dependencies([broken]):
            return tf.identity(pixels)

    batches = images(dataset, CorruptImages("skip"), fails)
    with pytest.raises(tf.errors.UnknownError, match="decoded, but.*too brig"):
        colours(batches)
