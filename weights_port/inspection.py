"""Says what a weights file is, and what is wrong with it."""

import dataclasses
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any

from keras_twins import TwinsConfig
from keras_twins.weights.digests import file_digest
from keras_twins.weights.errors import CheckpointError
from weights_port.checkpoints import Opened
from weights_port.checkpoints import container_of
from weights_port.checkpoints import open_weights
from weights_port.golden import content_digest
from weights_port.sources import OriginalFile
from weights_port.sources import find_original


@dataclasses.dataclass(frozen=True, kw_only=True)
class Inspection:
    """What a file is; fields are `None` where it was not recognised.

    Args:
        path: The file.
        size: Its length in bytes.
        sha256: Its digest in hexadecimal.
        container: Kind of file.
        known_source: The published file that the digest belongs to.
        wrappers: Containers and prefixes around the tensors.
        naming: Whose tensor names it uses.
        variant: A key of `keras_twins.VARIANTS`.
        dialect: Numeric details of the code base.
        classes: Classes of the classifier, `None` without one.
        head: Which dense model the file holds, beside the backbone that the
            other fields are about.
        tensors: Number of tensors.
        parameters: Number of parameters.
        dtypes: Number of tensors of each dtype.
        content_sha256: Digest of names and values under official names; the
            same for the same weights in any kind of file.
        left_out: Tensors that are known and not needed.
        problems: A sentence for each fault.
    """

    path: str
    size: int
    sha256: str
    container: str
    known_source: OriginalFile | None = None
    wrappers: tuple[str, ...] = ()
    naming: str | None = None
    variant: str | None = None
    dialect: str | None = None
    classes: int | None = None
    head: str | None = None
    tensors: int | None = None
    parameters: int | None = None
    dtypes: Mapping[str, int] = dataclasses.field(default_factory=dict)
    content_sha256: str | None = None
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as a dictionary that JSON can hold."""
        return dataclasses.asdict(self)

    def report(self) -> str:
        """Returns the fields in words, one a line."""
        fields = self.to_dict()
        source = fields.pop("known_source")
        fields["known_source"] = (
            f"{source['publisher']} {source['variant']}, {source['url']}, "
            f"{source['licence']}"
            if source
            else "none: no published sha256 fits"
        )
        problems = fields.pop("problems")
        left_out = fields.pop("left_out")
        fields["left_out"] = f"{len(left_out)} tensors"
        lines = [f"{key}: {_in_words(v)}" for key, v in fields.items()]
        lines.append(f"problems: {len(problems) or 'none'}")
        return "\n".join([*lines, *(f"  {line}" for line in problems)])


def _in_words(value: Any) -> str:
    if value is None or value == ():
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{count} {key}" for key, count in value.items())
    if isinstance(value, tuple):
        return " + ".join(value)
    return f"{value:,}" if isinstance(value, int) else str(value)


def inspect_file(
    path: str | os.PathLike[str],
    architecture: str | TwinsConfig | None = None,
) -> Inspection:
    """Says what a weights file is, and what is wrong with it.

    Args:
        path: A file of any kind that `convert` reads.
        architecture: A key of `keras_twins.VARIANTS`, or a config; by
            default, the variant is recognised.

    Returns:
        An `Inspection`; `problems` is empty for a good file.

    Raises:
        CheckpointError: If there is no such file, or it is no weights file.

    Example:

    ```python
    print(weights_port.inspect_file("alt_gvt_small.pth").report())
    ```
    """
    container = container_of(path)
    digest = file_digest(path)
    known = Inspection(
        path=os.fspath(path),
        size=os.path.getsize(path),
        sha256=digest,
        container=container,
        known_source=find_original(digest),
    )
    try:
        opened = open_weights(path, architecture=architecture)
    except CheckpointError as error:
        return dataclasses.replace(known, problems=(str(error),))
    return _describe(known, opened)


def _describe(known: Inspection, opened: Opened) -> Inspection:
    official = opened.official
    state = official.state
    problems = list(opened.problems)
    source = known.known_source
    if source is not None and source.variant != official.variant:
        problems.append(
            f"the digest is that of {source.variant}, the content is that of "
            f"{official.variant}"
        )
    return dataclasses.replace(
        known,
        wrappers=official.wrappers,
        naming=official.naming,
        variant=official.variant,
        dialect=official.dialect,
        classes=official.classes,
        head=official.head,
        tensors=len(state),
        parameters=official.parameters,
        dtypes=dict(Counter(str(v.dtype) for v in state.values())),
        content_sha256=content_digest(state),
        left_out=official.left_out,
        problems=tuple(problems),
    )
