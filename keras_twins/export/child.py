"""Writes an artefact in a process with a backend of its own.

Run as a script with a folder that holds the model and what to do with it.
"""

import json
import pathlib
import sys

UNREADABLE = 3
"""Exit code when the model cannot be loaded."""


def main(folder: pathlib.Path) -> int:
    """Loads the model and writes the artefact.

    Args:
        folder: Holds `model.keras`, `task.json` and maybe `images.npy`.

    Returns:
        Exit code.
    """
    import keras
    import numpy as np

    from keras_twins.export.formats import FORMATS
    from keras_twins.export.plan import Plan

    task = json.loads((folder / "task.json").read_text())
    try:
        model = keras.saving.load_model(folder / "model.keras", compile=False)
    # Whatever is wrong, the parent tells the user what to do.
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return UNREADABLE
    images = folder / "images.npy"
    plan = Plan(
        precision=task["precision"],
        batch_size=task["batch_size"],
        representative=np.load(images) if images.exists() else None,
    )
    FORMATS[task["format"]].write(model, pathlib.Path(task["path"]), plan)
    return 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1])))
