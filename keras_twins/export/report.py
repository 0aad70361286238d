"""The report card of an export: what it weighs, how fast and how near."""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from keras_twins.export.comparison import Limits
from keras_twins.export.matching import ObjectMatch
from keras_twins.weights.files import replace_file

_LABEL_WIDTH = 13


@dataclasses.dataclass(frozen=True, kw_only=True)
class OutputDifference:
    """How far an output with a name is from Keras.

    Args:
        name: Name of the output.
        max_abs_difference: Largest difference from Keras on the images.
        max_abs_output: Largest value of Keras on the images.
    """

    name: str
    max_abs_difference: float
    max_abs_output: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportReport:
    """What an export gave, measured on the artefact itself.

    What could not be measured, because the artefact does not run, is `None`.

    Args:
        format: Name of the format.
        precision: Precision of the artefact.
        backend: The Keras backend that it is compared with.
        path: The artefact: a file or a folder.
        bytes: Its size; for a folder, the sum of its files.
        images: Number of images on which the two were compared.
        image_source: What the images were.
        limits: What was asked for.
        problems: Why the artefact is refused, as sentences; none if it is
            accepted.
        max_abs_difference: Largest difference from Keras on the images.
        max_abs_output: Largest output of Keras on the images.
        top1_agreement: Fraction of the images whose largest output is the
            same one in Keras; `None` for what is no classifier.
        cosine_similarity: Cosine of the angle between the artefact's output
            and Keras's, the mean over the images.
        outputs: The difference of each output, if they have names.
        objects: How the objects compare; `None` for what finds none.
        load_seconds: Time to load the artefact.
        latency_ms: Time for one image, as a median.
        keras_latency_ms: The same in Keras.
        batch: Number of images in the batches of the throughput.
        throughput: Images a second, as a median.
        keras_throughput: The same in Keras.
        seconds: Time to write the artefact.
    """

    format: str
    precision: str
    backend: str
    path: pathlib.Path
    bytes: int
    images: int
    image_source: str
    limits: Limits
    problems: tuple[str, ...] = ()
    max_abs_difference: float | None = None
    max_abs_output: float | None = None
    top1_agreement: float | None = None
    cosine_similarity: float | None = None
    outputs: tuple[OutputDifference, ...] = ()
    objects: ObjectMatch | None = None
    load_seconds: float | None = None
    latency_ms: float | None = None
    keras_latency_ms: float | None = None
    batch: int | None = None
    throughput: float | None = None
    keras_throughput: float | None = None
    seconds: float | None = None

    @property
    def accepted(self) -> bool:
        """Whether the artefact reached every limit."""
        return not self.problems

    @property
    def latency_ratio(self) -> float | None:
        """How many times faster than Keras one image is."""
        return _ratio(self.keras_latency_ms, self.latency_ms)

    @property
    def throughput_ratio(self) -> float | None:
        """How many times as many images a second as Keras."""
        return _ratio(self.throughput, self.keras_throughput)

    def __str__(self) -> str:
        return self.table()

    def table(self) -> str:
        """Returns the report as lines of plain text."""
        return "\n".join(
            f"{label:{_LABEL_WIDTH}}{text}" for label, text in _lines(self)
        )

    def to_dict(self) -> dict[str, Any]:
        """Returns everything as a dictionary that JSON can hold."""
        content = dataclasses.asdict(self) | {
            "path": str(self.path),
            "accepted": self.accepted,
            "latency_ratio": self.latency_ratio,
            "throughput_ratio": self.throughput_ratio,
        }
        return _finite(content)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes everything as JSON.

        Args:
            path: The file; its folder is made where it is missing.
        """
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps(self.to_dict(), indent=2) + "\n")


class ExportError(RuntimeError):
    """An artefact that does not compute what the Keras model computes.

    Args:
        message: What is wrong, and the way out.
        report: The report card, as far as the artefact could be measured.
    """

    def __init__(self, message: str, report: ExportReport | None = None):
        super().__init__(message)
        self.report = report


def artifact_bytes(path: pathlib.Path) -> int:
    """Returns the size of a file, or of all files in a folder.

    Args:
        path: The file or folder.

    Returns:
        Number of bytes.
    """
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _finite(content: Any) -> Any:
    """Returns content with `None` for NaN and infinity, as JSON has none."""
    if isinstance(content, dict):
        return {name: _finite(x) for name, x in content.items()}
    if isinstance(content, tuple | list):
        return type(content)(_finite(x) for x in content)
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def _ratio(above: float | None, below: float | None) -> float | None:
    if above is None or not below:
        return None
    return above / below


def _lines(report: ExportReport) -> Iterator[tuple[str, str]]:
    yield "format", f"{report.format}, {report.precision}"
    yield "artefact", f"{report.path}, {report.bytes / 1e6:.2f} MB"
    yield "images", f"{report.images} ({report.image_source})"
    if report.seconds is not None:
        yield "written in", f"{report.seconds:.1f} s"
    if report.load_seconds is not None:
        yield "loaded in", f"{report.load_seconds:.2f} s"
    yield from _accuracy(report)
    yield from _objects(report)
    yield from _speed(report)
    refusal = " ".join(("refused:", *report.problems))
    yield "verdict", "accepted" if report.accepted else refusal


def _accuracy(report: ExportReport) -> Iterator[tuple[str, str]]:
    limits, difference = report.limits, report.max_abs_difference
    if difference is None or report.max_abs_output is None:
        return
    limit = ""
    if limits.difference is not None:
        limit = f"; limit {limits.difference * report.max_abs_output:.1e}"
    largest = f"{report.max_abs_output:.3g}"
    yield "difference", f"{difference:.1e} (largest output {largest}{limit})"
    if report.cosine_similarity is not None:
        yield "cosine", f"{report.cosine_similarity:.6f}"
    if report.top1_agreement is not None:
        limit = ""
        if limits.agreement is not None:
            limit = f" (limit {limits.agreement:.1%})"
        yield "same top-1", f"{report.top1_agreement:.1%}{limit}"


def _objects(report: ExportReport) -> Iterator[tuple[str, str]]:
    for output in report.outputs:
        largest = f"{output.max_abs_output:.3g}"
        yield output.name, f"{output.max_abs_difference:.1e} of {largest}"
    match, limits = report.objects, report.limits
    if match is None:
        return
    most = max(match.expected, match.received)
    text = f"{match.matched} of {most}"
    if most and limits.agreement is not None:
        text += f": {match.agreement:.1%} (limit {limits.agreement:.1%})"
    yield "same objects", text
    limit = ""
    if limits.difference is not None:
        limit = f" (limit {limits.difference:.1e})"
    yield "scores", f"{match.score_difference:.1e}{limit}"
    yield "boxes", f"{match.box_difference:.1e} pixels"
    if match.mask_difference is not None:
        yield "masks", f"{match.mask_difference:.1e}{limit}"


def _speed(report: ExportReport) -> Iterator[tuple[str, str]]:
    keras = f"Keras on {report.backend}"
    if report.latency_ms is not None:
        text = f"{report.latency_ms:.2f} ms; {keras} "
        text += f"{report.keras_latency_ms:.2f} ms"
        yield "one image", f"{text}: {report.latency_ratio:.2f} x"
    if report.throughput is not None:
        text = f"{report.throughput:.1f} images/s; {keras} "
        text += f"{report.keras_throughput:.1f} images/s"
        label = f"batch of {report.batch}"
        yield label, f"{text}: {report.throughput_ratio:.2f} x"
