"""What one fresh process measures, printed as a line of JSON.

Run as a script, and not by `-m`: that would import the package before the
clock starts.
"""

import argparse
import gc
import json
import pathlib
import time


def measure_import() -> dict[str, float]:
    """Returns the seconds that the package adds to the import of Keras."""
    import keras  # noqa: F401 - what comes first is not counted

    start = time.perf_counter()
    import keras_twins  # noqa: F401

    return {"seconds": time.perf_counter() - start}


def measure_build(variant: str) -> dict[str, float]:
    """Returns the seconds to build a classifier with random weights.

    Args:
        variant: A key of `keras_twins.VARIANTS`.

    Returns:
        `seconds`.
    """
    import keras_twins

    start = time.perf_counter()
    keras_twins.classifier(variant, weights=None)
    return {"seconds": time.perf_counter() - start}


def write_weights(variant: str, path: str) -> dict[str, float]:
    """Writes the random weights of a new classifier.

    Args:
        variant: A key of `keras_twins.VARIANTS`.
        path: The safetensors file.

    Returns:
        `bytes`, the size of the file.
    """
    import keras_twins
    from keras_twins.weights import export_state
    from keras_twins.weights import write_safetensors

    model = keras_twins.classifier(variant, weights=None)
    write_safetensors(export_state(model, keras_twins.VARIANTS[variant]), path)
    return {"bytes": pathlib.Path(path).stat().st_size}


def measure_load(variant: str, path: str) -> dict[str, float]:
    """Returns what it takes to load a file into a model that is built.

    Args:
        variant: A key of `keras_twins.VARIANTS`.
        path: The safetensors file.

    Returns:
        `seconds`; `bytes`, the size of the file; `peak`, the largest memory
        beyond that of the model, over the size of the file; and `reset`,
        whether the system forgot the peak of the building. If it did not,
        `peak` is a lower bound.
    """
    import keras_twins
    from keras_twins.benchmark.memory import peak_memory
    from keras_twins.benchmark.memory import reset_peak
    from keras_twins.weights import load_weights_file

    model = keras_twins.classifier(variant, weights=None)
    config = keras_twins.VARIANTS[variant]
    gc.collect()
    reset = reset_peak()
    before = peak_memory(reset)
    start = time.perf_counter()
    load_weights_file(model, config, path, include_top=True)
    seconds = time.perf_counter() - start
    above = peak_memory(reset) - before
    size = pathlib.Path(path).stat().st_size
    return {
        "seconds": seconds,
        "bytes": size,
        "peak": above / size,
        "reset": float(reset),
    }


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    measures = parser.add_subparsers(required=True)
    for function, names in (
        (measure_import, ()),
        (measure_build, ("variant",)),
        (write_weights, ("variant", "path")),
        (measure_load, ("variant", "path")),
    ):
        sub = measures.add_parser(function.__name__)
        for name in names:
            sub.add_argument(name)
        sub.set_defaults(function=function)
    arguments = vars(parser.parse_args())
    print(json.dumps(arguments.pop("function")(**arguments)))


if __name__ == "__main__":
    _main()
