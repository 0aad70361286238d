"""A training from the name of a recipe to its results."""

import json

import keras
import numpy as np
import pytest

from keras_twins.data import load_digits
from keras_twins.data import write_image_folder
from keras_twins.training import TrainingOptions
from keras_twins.training import train
from keras_twins.training.run import CheckpointMismatchError

pytest.importorskip("tensorflow")
pytest.importorskip("matplotlib")

TINY = ["epochs=2", "batch_size=8", "dtype=float32", "ema_momentum=0.5"]
QUIET = TrainingOptions(verbose=False, tensorboard=False)
RESULTS = {
    "checkpoints",
    "classes.png",
    "confusion.png",
    "curves.png",
    "log.csv",
    "model.keras",
    "report.txt",
    "run.json",
    "scores.json",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """24 digits to train on and 13 held out, as a folder of pictures."""
    pytest.importorskip("sklearn")
    root = tmp_path_factory.mktemp("digits")
    training, held_out = load_digits(32)
    for split, (images, labels), count in (
        ("train", training, 24),
        ("val", held_out, 13),
    ):
        chosen = np.flatnonzero(labels < 3)[:count]
        write_image_folder(
            root, split, images[chosen], labels[chosen], ("0", "1", "2")
        )
    return root


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "digits"
    return out, train("digits/svt_tiny", data, out, TINY, QUIET)


def test_leaves_everything(finished):
    out, result = finished
    assert (result.status, result.step) == ("finished", 6)
    assert {path.name for path in out.iterdir()} == RESULTS
    scores = json.loads((out / "scores.json").read_text())
    assert scores["images"] == 13
    assert [row["name"] for row in scores["classes"]] == ["0", "1", "2"]
    assert scores["top1"] == pytest.approx(result.history["val_top1"][-1])


def test_notes_what_was_run(finished):
    out, _ = finished
    run = json.loads((out / "run.json").read_text())
    assert run["configuration"]["recipe"] == "digits/svt_tiny"
    assert run["configuration"]["settings"]["batch_size"] == 8
    assert run["configuration"]["distribution"]["devices"] >= 1
    (start,) = run["starts"]
    assert start["backend"] == keras.backend.backend()


def test_the_model_is_the_moving_average(finished, data):
    """It scores as the last validation did, and is not the trained one."""
    out, _ = finished
    model = keras.saving.load_model(out / "model.keras", compile=False)
    newest = max((out / "checkpoints").glob("step*"))
    from keras_twins.training.run import read_checkpoint

    arrays = read_checkpoint(newest).arrays
    kernel = model.get_layer("predictions").get_weights()[0]
    same = [x for x in arrays.values() if x.shape == kernel.shape]
    distances = sorted(float(np.abs(x - kernel).max()) for x in same)
    assert distances[0] == 0 and len(same) >= 2


def test_a_finished_training_is_not_repeated(finished, data):
    out, before = finished
    after = train("digits/svt_tiny", data, out, TINY, QUIET)
    assert (after.step, after.history) == (before.step, before.history)


def test_another_training_is_refused(finished, data):
    out, _ = finished
    with pytest.raises(CheckpointMismatchError, match="weight_decay"):
        changes = [*TINY, "weight_decay=0.1"]
        train("digits/svt_tiny", data, out, changes, QUIET)


def test_too_few_images(data, tmp_path):
    with pytest.raises(ValueError, match="24. Set `batch_size` to fewer"):
        train("digits/svt_tiny", data, tmp_path, ["batch_size=32"], QUIET)


def test_recipes_for_every_variant_want_one(tmp_path):
    with pytest.raises(ValueError, match="name one, by `--model svt_small`"):
        train("ade20k/upernet", tmp_path, tmp_path, [], QUIET)
