"""Fine-tune Twins on your own folder of pictures.

What: reads a folder with one sub-folder for each class, gives a model a new
head, trains the head alone, then the whole model at a lower learning rate,
in mixed precision if you like; writes the result as `finetuned.keras`.
Without a folder it writes scikit-learn's handwritten digits as one and uses
that, so that you can see it work.

Expected result: accuracy on the 20 % of the pictures that are held out. The
second command below gave 97.75 % after 65 s on two CPU cores, TensorFlow.

Command:
    python examples/finetune_classifier.py --data flowers --model svt_small
    python examples/finetune_classifier.py --model small --weights none \
        --size 32 --head-epochs 0 --epochs 15
"""

import argparse
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

import keras_twins
from keras_twins.data import load_digits

SMALL = keras_twins.TwinsConfig(
    embed_dims=(32, 64, 96, 128),
    depths=(2, 2, 2, 2),
    num_heads=(1, 2, 3, 4),
    mlp_ratios=(2, 2, 2, 2),
    attention_pattern=("LG", "LG", "LG", "LG"),
    patch_sizes=(2, 2, 2, 2),
    sr_ratios=(4, 2, 1, 1),
    window_sizes=(4, 4, 4, 2),
)
"""For pictures of 32 pixels, where the published models are too coarse."""


def main(arguments: Sequence[str] | None = None) -> float:
    """Fine-tunes a model and writes it.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        Accuracy on the pictures that are held out.
    """
    options = parse(arguments)
    keras.utils.set_random_seed(options.seed)
    options.out.mkdir(parents=True, exist_ok=True)
    folder = options.data or write_digits(options.out / "digits")
    if not folder.is_dir():
        raise SystemExit(f"--data must be a folder. Received: {folder}")
    training, validation, classes = read_folder(folder, options)
    body, model = build(options, len(classes))
    start = time.perf_counter()
    if options.head_epochs:
        body.trainable = False
        fit(model, training, validation, options.head_epochs, options.rate)
        body.trainable = True
    if options.epochs:
        fit(model, training, validation, options.epochs, options.rate / 2)
    _, accuracy = model.evaluate(validation, verbose=0)
    print(
        f"{accuracy:.2%} of the held-out pictures are right, after "
        f"{time.perf_counter() - start:.0f} s; classes: {', '.join(classes)}"
    )
    model.save(options.out / "finetuned.keras")
    return accuracy


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Reads the command line.

    Args:
        arguments: Command line; by default that of the process.

    Returns:
        The options.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    add = parser.add_argument
    add("--data", type=pathlib.Path, help="folder with a folder per class")
    add("--out", type=pathlib.Path, default=pathlib.Path("results/finetune"))
    add(
        "--model",
        default="svt_small",
        choices=["small", *keras_twins.VARIANTS],
        help="a published variant, or small for pictures of 32 pixels",
    )
    add("--weights", default="imagenet", help="imagenet, a path, or none")
    add("--size", type=int, default=224, help="pixels, at least 32")
    add("--batch", type=int, default=32)
    add("--head-epochs", type=int, default=2, help="of the head alone")
    add("--epochs", type=int, default=5, help="of the whole model")
    add("--rate", type=float, default=2e-3, help="learning rate of the head")
    add(
        "--precision",
        default="float32",
        choices=["float32", "mixed_bfloat16", "mixed_float16"],
    )
    add("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def write_digits(folder: pathlib.Path) -> pathlib.Path:
    """Writes scikit-learn's digits as a folder of pictures.

    Args:
        folder: The folder.

    Returns:
        The same folder.
    """
    from PIL import Image

    (images, labels), _ = load_digits(32, test_fraction=0.01)
    for label in np.unique(labels):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / str(label) / f"{number:04}.png")
    return folder


def read_folder(
    folder: pathlib.Path, options: argparse.Namespace
) -> tuple[Any, Any, list[str]]:
    """Reads a folder of pictures with `tf.data`.

    Args:
        folder: Folder with one sub-folder for each class.
        options: The options.

    Returns:
        Training data, held-out data, and the names of the classes.
    """
    training, validation = keras.utils.image_dataset_from_directory(
        str(folder),
        image_size=(options.size, options.size),
        crop_to_aspect_ratio=True,
        batch_size=options.batch,
        validation_split=0.2,
        subset="both",
        seed=options.seed,
    )
    classes = training.class_names
    return training.prefetch(2), validation.prefetch(2), classes


def build(
    options: argparse.Namespace, classes: int
) -> tuple[keras.Model, keras.Model]:
    """Builds the body, and a classifier on top of it.

    Args:
        options: The options.
        classes: Number of classes.

    Returns:
        The body and the classifier, which share their layers.
    """
    body = keras_twins.classifier(
        SMALL if options.model == "small" else options.model,
        include_top=False,
        weights=None if options.weights == "none" else options.weights,
        input_shape=(options.size, options.size, 3),
        drop_path_rate=0.05,
        dtype=options.precision,
    )
    logits = keras_twins.reset_classifier(
        body, classes, classifier_activation=None
    )
    # Probabilities need float32 even where the rest is in half precision.
    probabilities = keras.layers.Activation("softmax", dtype="float32")
    return body, keras.Model(logits.inputs, probabilities(logits.output))


def fit(
    model: keras.Model, training: Any, validation: Any, epochs: int, rate: float
) -> None:
    """Trains what is trainable.

    Args:
        model: The classifier.
        training: Batches of pictures and labels.
        validation: The same, held out.
        epochs: Number of epochs.
        rate: Learning rate at the start; it falls to zero.
    """
    # What is frozen is fixed when a model is compiled.
    model.compile(
        optimizer=keras.optimizers.AdamW(
            keras.optimizers.schedules.CosineDecay(
                rate, epochs * len(training)
            ),
            weight_decay=0.05,
            global_clipnorm=5.0,
        ),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    # The data set shuffles by itself.
    model.fit(
        training,
        validation_data=validation,
        epochs=epochs,
        shuffle=False,
        verbose=2,  # pyright: ignore
    )


if __name__ == "__main__":
    main()
