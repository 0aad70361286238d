"""What the outputs of an artefact say about it."""

import dataclasses
import math
from collections.abc import Iterator

import keras
import numpy as np

from keras_twins.export.comparison import Outputs
from keras_twins.export.comparison import cosine_similarity
from keras_twins.export.comparison import is_classifier
from keras_twins.export.comparison import largest_output
from keras_twins.export.comparison import max_difference
from keras_twins.export.comparison import top1_agreement
from keras_twins.export.detections import gives_objects
from keras_twins.export.matching import match_objects
from keras_twins.export.plan import output_names
from keras_twins.export.report import ExportReport
from keras_twins.export.report import OutputDifference

NOT_FINITE = "Its outputs, or Keras's, are not finite."

OBJECTS_AGREEMENT = 0.99
"""Least share of the objects that both find, unless another is asked for."""


def judge(
    card: ExportReport,
    model: keras.Model,
    expected: Outputs,
    received: Outputs,
) -> ExportReport:
    """Compares the outputs of an artefact with those of Keras.

    Args:
        card: The card, with the limits.
        model: The model.
        expected: Outputs of Keras, flat and in order.
        received: Outputs of the artefact.

    Returns:
        The card with what the comparison gave, and what is wrong.
    """
    shapes = [x.shape[1:] for x in expected], [x.shape[1:] for x in received]
    if shapes[0] != shapes[1]:
        problem = (
            f"Its outputs have shapes {shapes[1]}; Keras's have {shapes[0]}."
        )
        return dataclasses.replace(card, problems=(problem,))
    names = output_names(model)
    if names is not None and gives_objects(model):
        return _with_objects(card, names, expected, received)
    classifier = is_classifier(model)
    card = dataclasses.replace(
        card,
        max_abs_difference=max_difference(expected, received),
        max_abs_output=largest_output(expected),
        top1_agreement=(
            top1_agreement(expected, received) if classifier else None
        ),
        cosine_similarity=cosine_similarity(expected, received),
        outputs=_differences(names or [], expected, received),
    )
    problems = (*_problems(card), *_problems_of_outputs(card))
    return dataclasses.replace(card, problems=problems)


def _differences(
    names: list[str], expected: Outputs, received: Outputs
) -> tuple[OutputDifference, ...]:
    return tuple(
        OutputDifference(
            name=name,
            max_abs_difference=max_difference([a], [b]),
            max_abs_output=largest_output([a]),
        )
        for name, a, b in zip(names, expected, received, strict=False)
    )


def _problems(card: ExportReport) -> Iterator[str]:
    limits, largest = card.limits, card.max_abs_output
    difference = card.max_abs_difference
    if difference is None or largest is None:
        return
    # Comparisons are written so that NaN is refused too.
    if not math.isfinite(difference):
        yield NOT_FINITE
    elif limits.difference is not None and not (
        difference <= limits.difference * largest
    ):
        yield (
            f"It differs from Keras by {difference:.3g}; the limit is "
            f"{limits.difference:.3g} of the largest output, {largest:.3g}."
        )
    agreement, cosine = card.top1_agreement, card.cosine_similarity
    if agreement is not None:
        if limits.agreement is not None and not agreement >= limits.agreement:
            yield (
                f"It has the top-1 class of Keras on {agreement:.1%} of "
                f"{card.images} images; the limit is {limits.agreement:.1%}."
            )
    elif limits.cosine is not None and not (cosine or 0.0) >= limits.cosine:
        yield (
            f"Its cosine similarity to Keras is {cosine:.4f}; the limit is "
            f"{limits.cosine:.4f}."
        )


def _problems_of_outputs(card: ExportReport) -> Iterator[str]:
    """Yields what is wrong with outputs that are small beside others."""
    limit = card.limits.difference
    for output in card.outputs:
        difference, largest = output.max_abs_difference, output.max_abs_output
        if limit is not None and difference > limit * largest:
            yield (
                f"Its output {output.name!r} differs from Keras by "
                f"{difference:.3g}; the limit is {limit:.3g} of {largest:.3g}."
            )


def _with_objects(
    card: ExportReport, names: list[str], expected: Outputs, received: Outputs
) -> ExportReport:
    """Returns the card with how the objects compare."""
    if not all(np.isfinite(x).all() for x in (*expected, *received)):
        return dataclasses.replace(card, problems=(NOT_FINITE,))
    limits = card.limits
    if limits.agreement is None:
        limits = dataclasses.replace(limits, agreement=OBJECTS_AGREEMENT)
    found, given = (
        dict(zip(names, x, strict=True)) for x in (expected, received)
    )
    match = match_objects(found, given, limits.difference or 0.0)
    card = dataclasses.replace(card, limits=limits, objects=match)
    return dataclasses.replace(card, problems=tuple(_problems_of_objects(card)))


def _problems_of_objects(card: ExportReport) -> Iterator[str]:
    match, least = card.objects, card.limits.agreement
    if match is None or least is None:
        return
    if not match.expected and not match.received:
        yield (
            f"Keras finds no object in the {card.images} images, so nothing "
            "was compared: pass `images` in which it finds some, or export "
            "with `outputs='raw'`."
        )
    elif not match.agreement >= least:
        yield (
            f"It finds {match.received} objects, Keras {match.expected}, and "
            f"{match.matched} are the same: {match.agreement:.1%}; the limit "
            f"is {least:.1%}."
        )
