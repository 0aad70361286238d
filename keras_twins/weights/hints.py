"""What to do about weights that do not fit a model."""

from collections.abc import Collection
from collections.abc import Mapping
from typing import Any

from keras_twins.config import VARIANTS
from keras_twins.config import TwinsConfig
from keras_twins.weights.code_bases import DENSE_HEADS
from keras_twins.weights.code_bases import IGNORED_SUFFIXES
from keras_twins.weights.dense_sizes import DENSE_SIZES
from keras_twins.weights.detectron2 import is_detectron2
from keras_twins.weights.head_naming import DenseHead
from keras_twins.weights.head_naming import head_task
from keras_twins.weights.head_naming import recognise_head
from keras_twins.weights.naming import STEM
from keras_twins.weights.naming import expected_pairs


def suggest(
    problems: Collection[str],
    wanted: Collection[str],
    state: Mapping[str, Any],
    config: TwinsConfig,
) -> str:
    """Returns what to do about weights that do not fit.

    Args:
        problems: Lines that start with the name of a tensor or of a weight.
        wanted: Names of the tensors that the model needs.
        state: Arrays by the names of the official code.
        config: Architecture of the model.

    Returns:
        A sentence without its full stop.
    """
    found = recognise_variant(state)
    if found is not None and not _same_body(VARIANTS[found], config):
        return f"The file looks like {found}: build that variant"
    if any(name.startswith(DENSE_HEADS) for name in wanted):
        return _suggest_dense(problems, state, recognise_head(wanted))
    if any(name.startswith(DENSE_HEADS) for name in state):
        return _suggest_model(recognise_head(state))
    if is_detectron2(state):
        return _suggest_model("retinanet")
    if all(line.startswith(("head.", "predictions/")) for line in problems):
        return (
            "For another number of classes, load with the file's own number "
            "and use `keras_twins.reset_classifier`, or `include_top=False`"
        )
    return (
        "Pass the file of this architecture, in official or timm naming; "
        "`python -m weights_port` converts other namings"
    )


def recognise_variant(state: Mapping[str, Any]) -> str | None:
    """Returns the published variant that a state dict belongs to.

    Args:
        state: Arrays by the names of the official code; heads of dense
            models may be among them.

    Returns:
        A key of `keras_twins.VARIANTS`, or `None`.
    """
    body = {
        name
        for name in state
        if not name.startswith(("head.", "norm", *DENSE_HEADS))
        and not name.endswith(IGNORED_SUFFIXES)
    }
    width = getattr(state.get(STEM), "shape", (None,))[0]
    for variant, config in VARIANTS.items():
        pairs = expected_pairs(config, include_top=False, final_norm=False)
        if width == config.embed_dims[0] and body == {p.source for p in pairs}:
            return variant
    return None


def _same_body(config: TwinsConfig, other: TwinsConfig) -> bool:
    # Of Twins-SVT, base and large differ in their widths alone.
    return (config.depths, config.embed_dims) == (
        other.depths,
        other.embed_dims,
    )


def _suggest_dense(
    problems: Collection[str], state: Mapping[str, Any], head: DenseHead | None
) -> str:
    sizes = [
        f"`{argument}={state[name].size // times}`"
        for argument, name, times in (DENSE_SIZES[head] if head else ())
        if any(line.startswith(f"{name}: shape") for line in problems)
    ]
    if not any(name.startswith("auxiliary_head.") for name in state):
        if any(line.startswith("auxiliary_head.") for line in problems):
            sizes.append("`auxiliary_weight=0`, for it has no auxiliary head")
    elif any("auxiliary_filters" in size for size in sizes):
        sizes.append("or `auxiliary_weight=0` for none")
    if head and head_task(head) == "detection":
        norms = any(name.startswith("norm_list.") for name in state)
        if any(line.startswith("norm_list.") for line in problems):
            sizes.append(f"`output_norms={norms}`")
    if not sizes:
        return "Pass the file of this backbone and head"
    return f"Build the model as the file is, with {', '.join(sizes)}"


def _suggest_model(head: DenseHead | None) -> str:
    task = "segmentation or detection" if head is None else head_task(head)
    where = "its class" if head is None else f"`keras_twins.{task}`"
    return (
        f"The file holds a model of {task}: load it with `from_twins` of "
        f"{where}, or let `python -m weights_port` convert its backbone alone"
    )
