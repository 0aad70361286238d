"""timm's own Twins, as an independent implementation to compare with."""

import importlib

import numpy as np

from weights_port.official import OfficialState


def why_no_timm(official: OfficialState) -> str:
    """Returns why timm cannot run these weights, or `""` if it can.

    Args:
        official: The weights.

    Returns:
        A reason in words.
    """
    if official.naming != "official":
        return f"the original has {official.naming} names"
    if official.variant is None:
        return "the architecture is not a published variant"
    if official.config.output_norms or not official.include_top:
        return "the original is no classifier"
    try:
        importlib.import_module("timm")
    except (ImportError, RuntimeError) as error:
        # A torchvision that does not fit torch is a RuntimeError.
        return f"timm cannot be imported ({error})"
    return ""


def timm_logits(official: OfficialState, images: np.ndarray) -> np.ndarray:
    """Runs timm's model with these weights.

    Args:
        official: Weights that `why_no_timm` has nothing against.
        images: Of shape `(batch, height, width, channels)`.

    Returns:
        Logits of shape `(batch, classes)`.
    """
    import timm
    import torch

    model = timm.create_model(
        f"twins_{official.variant}",
        pretrained=False,
        num_classes=official.classes,
        in_chans=official.channels,
    )
    state = {
        name: torch.from_numpy(np.array(values, "float32"))
        for name, values in official.state.items()
    }
    model.load_state_dict(state, strict=True)
    with torch.no_grad():
        inputs = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
        return model.eval()(inputs).numpy()
