"""The files that a benchmark leaves: JSON, Markdown and plots."""

import dataclasses
import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from keras_twins.weights.files import replace_file

PARTS = (
    "speed",
    "scale",
    "segmentation",
    "detection",
    "import",
    "data",
    "loop",
    "scaling",
)
"""The parts of a benchmark, in the order of the tables."""

JSON_NAME = "bench.json"
MARKDOWN_NAME = "bench.md"


@dataclasses.dataclass(frozen=True)
class Part:
    """What came of a part.

    Args:
        content: Everything, as a dictionary that JSON can hold.
        markdown: Its tables.
    """

    content: Mapping[str, Any]
    markdown: str


def write_results(
    folder: str | os.PathLike[str], parts: Mapping[str, Part]
) -> str:
    """Writes parts of a benchmark beside those that are there already.

    Args:
        folder: The folder; it is made where it is missing.
        parts: What came of the parts that ran, by the names in `PARTS`.

    Returns:
        Markdown: the tables of all parts, of earlier runs too.

    Raises:
        ValueError: If the file that is there is no such file.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    known = read_parts(folder / JSON_NAME)
    for name, part in parts.items():
        known[name] = {**part.content, "markdown": part.markdown}
    texts = [known[name]["markdown"] for name in PARTS if name in known]
    markdown = "\n\n".join(texts)
    content = json.dumps({"parts": known, "markdown": markdown}, indent=1)
    for name, text in ((JSON_NAME, content), (MARKDOWN_NAME, markdown)):
        with replace_file(folder / name) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return markdown


def read_parts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Returns the parts that a file holds.

    Args:
        path: A file that `write_results` wrote.

    Returns:
        What the reports' `to_dict` returned, by part; empty if there is no
        file.

    Raises:
        ValueError: If it is another file.
    """
    path = pathlib.Path(path)
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))["parts"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(
            f"{path} is not a file that a benchmark wrote. Remove it, or "
            "choose another folder."
        ) from error
