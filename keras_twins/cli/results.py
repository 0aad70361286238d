"""Files that commands write."""

import json
import pathlib
from typing import Any


def write_json(results: Any, target: pathlib.Path) -> None:
    """Writes results to a file, which is complete or not there.

    Args:
        results: What JSON can hold.
        target: The file; its folder is made if there is none.
    """
    from keras_twins.weights.files import replace_file

    target.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(target) as temporary:
        temporary.write_text(json.dumps(results, indent=1) + "\n")
