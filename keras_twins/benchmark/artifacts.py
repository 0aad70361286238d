"""The files that runtimes run, each written once for a whole benchmark."""

import pathlib
import tempfile
import time
from collections.abc import Mapping
from collections.abc import Sequence

from keras_twins.benchmark.plan import Entry
from keras_twins.benchmark.plan import Panel
from keras_twins.benchmark.process import Worker
from keras_twins.benchmark.process import WorkerError
from keras_twins.benchmark.progress import Progress
from keras_twins.benchmark.system import Writer

Key = tuple[str, str, int, tuple[int, ...]]
"""Writer, variant, size and batch sizes."""


class ArtifactStore:
    """Writes files where they are asked for first.

    Args:
        folder: Where they go.
        preload: Modules that the processes of peers import first.
        progress: Is told what happens.
    """

    def __init__(
        self, folder: pathlib.Path, preload: Sequence[str], progress: Progress
    ):
        self._folder = folder
        self._preload = list(preload)
        self._progress = progress
        self._known: dict[Key, Mapping[str, str] | WorkerError] = {}

    def provide(self, panel: Panel, entry: Entry) -> Mapping[str, str]:
        """Returns the files that a system runs.

        Args:
            panel: Gives the architecture and the size.
            entry: The system and its batch sizes.

        Returns:
            Paths by batch size; empty if the system runs no file.

        Raises:
            WorkerError: If they cannot be written.
        """
        writer = entry.system.writer
        if writer is None:
            return {}
        key = (writer.name, panel.variant, panel.size, entry.batches)
        if key not in self._known:
            self._known[key] = self._write(panel, entry, writer)
        found = self._known[key]
        if isinstance(found, WorkerError):
            raise found
        return found

    def _write(
        self, panel: Panel, entry: Entry, writer: Writer
    ) -> Mapping[str, str] | WorkerError:
        name = f"{writer.name}-{panel.variant}-{panel.size}"
        # Each time anew: nothing is exported over what is there.
        folder = tempfile.mkdtemp(prefix=f"{name}-", dir=self._folder)
        start = time.perf_counter()
        try:
            with Worker(writer.environment) as worker:
                answer = worker.ask(
                    "call",
                    function=writer.function,
                    options={
                        "task": panel.task("float32"),
                        "batches": entry.batches,
                        "folder": folder,
                        **writer.options,
                    },
                    preload=() if entry.system.ours else self._preload,
                )
        except WorkerError as error:
            self._progress.note(f"{name}: failed")
            return error
        seconds = time.perf_counter() - start
        self._progress.note(f"{name}: written in {seconds:.0f} s")
        return answer["value"]
