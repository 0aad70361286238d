"""Names of splits: which one is meant where data sets differ."""

import difflib
from collections.abc import Iterable

VALIDATION_NAMES = ("val", "validation", "test")
"""Names that stand for each other, in the order in which they are tried."""

_TRAINING_NAMES = ("train", "training")


def find_split(split: str, available: Iterable[str], place: str) -> str:
    """Returns the split that is meant.

    Args:
        split: Name of the split, such as `"train"` or `"val"`.
        available: Names that there are.
        place: Where they are, for the message.

    Returns:
        `split` if it is there, else the first that stands for it.

    Raises:
        FileNotFoundError: If there is none.
    """
    names = list(available)
    for group in (_TRAINING_NAMES, VALIDATION_NAMES):
        # "test" is no name for what was held out for the choice of a model.
        wanted = group if split in group and split != "test" else ()
        for name in (split, *wanted):
            if name in names:
                return name
    raise FileNotFoundError(
        f"There is no split {split!r} in {place}.{near_names(split, names)} "
        f"Splits: {', '.join(names[:20]) or 'none'}."
    )


def near_names(name: str, names: Iterable[str]) -> str:
    """Returns a question that proposes what may have been meant.

    Args:
        name: What was asked for.
        names: What there is.

    Returns:
        A sentence after a space, or nothing.
    """
    near = difflib.get_close_matches(name, list(names), 3)
    return f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
