"""Train RetinaNet or Mask R-CNN to find handwritten digits in scenes.

What: scenes are composed of scikit-learn's handwritten digits over parts of
photographs, strokes and shapes; the digits are lighter than what is behind
them. A small Twins-SVT with the head of RetinaNet, or of Mask R-CNN, learns
where the digits are and which, from random weights. Held-out scenes share
neither digits nor parts of photographs with those of training.

Expected result: pictures of held-out scenes with what the model found, and
COCO's average precision at an overlap of 0.5 on 200 held-out scenes: 0.93 for
RetinaNet; 0.99 for Mask R-CNN, for boxes and for masks (TensorFlow). On two CPU
cores a step takes 0.15 and 0.45 s, which makes 4 and 11 minutes.

Command:
    python examples/train_detector.py retinanet
    python examples/train_detector.py mask_rcnn
"""

import argparse
import pathlib
import time
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras

import keras_twins
from keras_twins.data import SCENE_CLASSES
from keras_twins.data import DigitScenes
from keras_twins.data import load_digit_scenes
from keras_twins.detection import GroundTruth
from keras_twins.detection import MaskRCNN
from keras_twins.detection import RetinaNet
from keras_twins.detection import detect
from keras_twins.detection import evaluate_detection
from keras_twins.detection import write_detections
from keras_twins.detection.detector import Detector

CONFIG = keras_twins.TwinsConfig(
    embed_dims=(32, 64, 96, 128),
    depths=(2, 2, 2, 2),
    num_heads=(1, 2, 3, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("LG", "LG", "LG", "LG"),
    sr_ratios=(4, 2, 1, 1),
    window_sizes=(4, 4, 4, 2),
)
"""A Twins-SVT of two blocks a stage."""

NAMES = SCENE_CLASSES[1:]


def load_scenes(count: int, size: int, held_out: bool = False) -> DigitScenes:
    """Returns scenes of a difficulty that ten minutes are enough for.

    Args:
        count: Number of scenes.
        size: Height and width in pixels.
        held_out: Whether they are for testing.

    Returns:
        The scenes.
    """
    return load_digit_scenes(
        count,
        held_out,
        size,
        digits=(2, 3),
        # Not much smaller than the smallest anchors, of 32 pixels.
        digit_sizes=(0.3, 0.5),
        max_overlap=0.0,
        light_on_dark=True,
    )


def build_model(kind: str, steps: int) -> Detector:
    """Returns a model that is ready for training.

    Args:
        kind: `"retinanet"` or `"mask_rcnn"`.
        steps: Number of steps of the whole training.

    Returns:
        A compiled detector.
    """
    backbone = keras_twins.TwinsBackbone(
        CONFIG, (None, None, 3), final_norm=False
    )
    classes = len(NAMES)
    if kind == "retinanet":
        model = RetinaNet(backbone, classes, filters=48, max_detections=20)
    else:
        model = MaskRCNN(
            backbone,
            classes,
            filters=48,
            units=128,
            max_detections=20,
            num_candidates=100,
            num_proposals=64,
            num_samples=32,
        )
    warmup = min(100, steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=2e-3, warmup_steps=warmup
    )
    model.compile(
        keras.optimizers.AdamW(
            schedule, weight_decay=0.05, global_clipnorm=5.0
        ),
        # Compiling the step would take a minute and save little here.
        jit_compile=keras.backend.backend() == "jax",
    )
    # Otherwise TensorFlow traces the step twice: without the optimizer's
    # variables, to make them, and with them.
    model.optimizer.build(model.trainable_variables)
    return model


def evaluate(model: Detector, scenes: DigitScenes) -> dict[str, Any]:
    """Returns COCO's average precision on scenes.

    Args:
        model: The trained model.
        scenes: Scenes that it does not know.

    Returns:
        The scores.
    """
    truths = []
    for index in range(len(scenes)):
        there = scenes.valid[index]
        truth = GroundTruth(
            index,
            scenes.images.shape[1:3],
            scenes.boxes[index, there],
            scenes.labels[index, there],
            masks=scenes.masks[index, there],
        )
        truths.append(truth)
    batches: list[Mapping[str, Any]] = [
        {"images": scenes.images[i : i + 16], "image_ids": ids[i : i + 16]}
        for ids in [list(range(len(scenes)))]
        for i in range(0, len(scenes), 16)
    ]
    return evaluate_detection(model, batches, truths, names=NAMES)


def write_pictures(
    model: Detector, scenes: DigitScenes, folder: pathlib.Path, count: int
) -> list[pathlib.Path]:
    """Writes what the model finds in scenes.

    Args:
        model: The trained model.
        scenes: Scenes that it does not know.
        folder: Where the pictures go.
        count: Number of scenes.

    Returns:
        The pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, image in enumerate(scenes.images[:count]):
        path = folder / f"scene{number}.png"
        found = detect(model, image, scale=None)
        write_detections(path, image, found, NAMES, score_threshold=0.5)
        paths.append(path)
    return paths


def main(argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Trains, evaluates and draws.

    Args:
        argv: Arguments; by default, those of the process.

    Returns:
        What the held-out scenes gave.
    """
    parser = argparse.ArgumentParser(
        description="Trains a detector on scenes of handwritten digits."
    )
    parser.add_argument("kind", choices=("retinanet", "mask_rcnn"))
    parser.add_argument("--scenes", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--size", type=int, default=96, help="in pixels")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--pictures", type=int, default=4)
    folder = pathlib.Path("results") / "detection"
    parser.add_argument("--out", type=pathlib.Path, default=folder)
    arguments = parser.parse_args(argv)

    keras.utils.set_random_seed(0)
    training = load_scenes(arguments.scenes, arguments.size)
    test = load_scenes(
        max(arguments.scenes // 30, 1), arguments.size, held_out=True
    )
    steps = arguments.epochs * -(-arguments.scenes // arguments.batch_size)
    model = build_model(arguments.kind, steps)
    truth = training.detection()
    if arguments.kind == "retinanet":
        del truth["masks"]
    start = time.perf_counter()
    model.fit(truth, batch_size=arguments.batch_size, epochs=arguments.epochs)
    seconds = time.perf_counter() - start
    results = evaluate(model, test)
    paths = write_pictures(model, test, arguments.out, arguments.pictures)
    for name in ("box_AP50", "mask_AP50"):
        if name in results:
            print(f"{name} {results[name]:.3f} on {len(test)} held-out scenes")
    print(
        f"trained in {seconds:.0f} s; {len(paths)} pictures in {arguments.out}"
    )
    return results


if __name__ == "__main__":
    main()
