"""The commands that detect objects, and that evaluate detection."""

import argparse
import contextlib
import pathlib
import sys
from typing import TYPE_CHECKING
from typing import Any

from keras_twins.cli.arguments import positive
from keras_twins.cli.arguments import variant_or_file
from keras_twins.cli.checks import check_target
from keras_twins.cli.checks import share
from keras_twins.cli.data_errors import readable_errors
from keras_twins.cli.detection_inputs import HEADS
from keras_twins.cli.detection_inputs import check_detector_options
from keras_twins.cli.detection_inputs import class_names
from keras_twins.cli.detection_inputs import detection_model
from keras_twins.cli.detection_inputs import read_names
from keras_twins.cli.detection_inputs import warn_of_threshold
from keras_twins.cli.detection_scores import as_json
from keras_twins.cli.detection_scores import score_tables
from keras_twins.cli.results import write_json
from keras_twins.config import DIALECTS

if TYPE_CHECKING:
    from keras_twins.detection.detections import Detections


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Adds `detect` and `eval-coco`.

    Args:
        commands: The commands so far.
    """
    sub = commands.add_parser("detect", help="which objects are in an image")
    sub.add_argument("image", metavar="IMAGE")
    sub.add_argument(
        "--out",
        type=pathlib.Path,
        default=pathlib.Path("detections.png"),
        help="the picture (default detections.png)",
    )
    sub.add_argument("--json", type=pathlib.Path, help="write the detections")
    sub.add_argument(
        "--score-threshold",
        type=share,
        default=0.3,
        metavar="SCORE",
        help="the lowest score, from 0 to 1 (default 0.3); the model gives "
        "nothing below its own threshold, 0.05 if it was built with none",
    )
    sub.add_argument(
        "--names",
        type=pathlib.Path,
        help="file with a name for each class, one a line (default COCO's)",
    )
    _add_model(sub)
    sub.set_defaults(run=detect, fail=sub.error)

    sub = commands.add_parser(
        "eval-coco", help="average precision on a data set in COCO's layout"
    )
    sub.add_argument(
        "--annotations",
        type=pathlib.Path,
        required=True,
        help="such as instances_val2017.json",
    )
    sub.add_argument(
        "--images", type=pathlib.Path, required=True, help="folder of them"
    )
    sub.add_argument(
        "--batch-size", type=positive, default=1, help="images (default 1)"
    )
    sub.add_argument(
        "--boxes-only", action="store_true", help="do not compare masks"
    )
    sub.add_argument(
        "--by-class", action="store_true", help="print a line for each class"
    )
    sub.add_argument("--json", type=pathlib.Path, help="write the results")
    _add_model(sub)
    sub.set_defaults(run=evaluate, fail=sub.error)


def _add_model(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--model",
        type=variant_or_file,
        default="svt_small",
        help="such as svt_base, or a .keras file, which has its own head, "
        "weights and classes",
    )
    sub.add_argument("--head", choices=HEADS, help="default retinanet")
    sub.add_argument(
        "--weights",
        help="path of a file with all weights, or none (random values)",
    )
    sub.add_argument(
        "--classes", type=positive, help="of the weights file (default 80)"
    )
    sub.add_argument(
        "--dialect",
        choices=sorted(DIALECTS),
        help="numeric details; files in the names of a code base tell theirs; "
        "for .weights.h5, what the model was built with (default "
        "official_detection, as from_twins has it)",
    )
    sub.add_argument(
        "--resize",
        nargs=2,
        type=positive,
        metavar=("LONG", "SHORT"),
        default=(1333, 800),
        help="most pixels of the two sides (default 1333 800); give the sizes "
        "that the model was trained at",
    )


def detect(arguments: argparse.Namespace) -> int:
    """Draws and prints which objects are in an image.

    Args:
        arguments: `image`, `out`, `json`, `score_threshold`, `names`,
            `resize`, those of the model, and `fail`, which ends the process
            after wrong usage.

    Returns:
        Exit code.
    """
    from keras_twins.detection.inference import detect as detect_objects
    from keras_twins.detection.pictures import picture_format
    from keras_twins.detection.pictures import write_detections
    from keras_twins.preprocessing import read_image

    check_detector_options(arguments)
    _check_targets(arguments, arguments.out, arguments.json)
    picture_format(arguments.out)
    given = None if arguments.names is None else read_names(arguments.names)
    image = read_image(arguments.image)
    scale = tuple(arguments.resize)
    with contextlib.redirect_stdout(sys.stderr):
        model = detection_model(arguments, given)
        names = class_names(model, given)
        threshold = arguments.score_threshold
        warn_of_threshold(model, threshold)
        seen = detect_objects(model, image, scale)
    found = seen.above(threshold)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_detections(arguments.out, image, found, names, threshold)
    for row in found.to_list(names):
        place = " ".join(f"{round(x)}" for x in row["box"])
        print(f"{row['score']:6.1%}  {row['name']}  {place}")
    if not len(found):
        print(_nothing_found(seen, threshold))
    print(arguments.out)
    if arguments.json is not None:
        write_json(
            _as_rows(arguments.image, image, found, names), arguments.json
        )
    return 0


def evaluate(arguments: argparse.Namespace) -> int:
    """Prints COCO's average precision of boxes and masks.

    Args:
        arguments: `annotations`, `images`, `batch_size`, `boxes_only`,
            `by_class`, `json`, `resize`, those of the model, and `fail`,
            which ends the process after wrong usage.

    Returns:
        Exit code.

    Raises:
        ValueError: If the model tells other classes apart than the data set.
    """
    from keras_twins.data.coco import load_coco
    from keras_twins.data.detection_pipeline import detection_examples
    from keras_twins.detection.validation import evaluate_detection

    check_detector_options(arguments)
    if arguments.json is not None:
        check_target(arguments, arguments.json, [arguments.annotations])
    with contextlib.redirect_stdout(sys.stderr), readable_errors():
        # Before the model, which takes longer.
        dataset = load_coco(
            arguments.annotations,
            arguments.images,
            with_segmentations=not arguments.boxes_only,
        )
        scale = tuple(arguments.resize)
        batches = detection_examples(dataset, arguments.batch_size, scale)
        model = detection_model(arguments, dataset.class_names)
        names = class_names(model, dataset.class_names)
        scores = evaluate_detection(
            model,
            batches,
            dataset.images,
            names=names,
            kinds=("bbox",) if arguments.boxes_only else None,
        )
    print(f"images  {len(dataset.images)}\n")
    print(score_tables(scores, arguments.by_class))
    if arguments.json is not None:
        results = {"images": len(dataset.images), **as_json(scores)}
        write_json(results, arguments.json)
    return 0


def _check_targets(
    arguments: argparse.Namespace, *targets: pathlib.Path | None
) -> None:
    """Raises an error if a file cannot be written, or is one that is read."""
    sources = [arguments.image, arguments.names or arguments.image]
    paths = [target for target in targets if target is not None]
    for i, target in enumerate(paths):
        check_target(arguments, target, sources)
        if target in paths[:i]:
            arguments.fail(
                f"{target} is the name of two results. Choose another one."
            )


def _nothing_found(seen: "Detections", threshold: float) -> str:
    if not len(seen):
        return "no object: the model found none above its own threshold"
    best = seen.scores.max()
    return f"no object above {threshold:.1%}; the best is at {best:.1%}"


def _as_rows(
    path: str, image: Any, found: "Detections", names: tuple[str, ...]
) -> dict[str, Any]:
    """Returns the detections in an image as JSON can hold them."""
    from keras_twins.data.coco_masks import encode_mask

    rows = found.to_list(names)
    if found.masks is not None:
        for row, mask in zip(rows, found.masks, strict=True):
            row["mask"] = encode_mask(mask)
    return {"image": path, "size": list(image.shape[:2]), "detections": rows}
