"""What the demo measured, as a table and as JSON."""

import dataclasses
import json
import pathlib
import textwrap
from typing import Literal

from keras_twins.weights.files import replace_file

Status = Literal["ok", "failed", "skipped"]

Row = tuple[str, str, str, str]

_RESULT_WIDTH = 56
_HEADER: Row = ("step", "status", "result", "seconds")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Step:
    """One step of the demo.

    Args:
        name: What was done.
        status: `"ok"`, `"failed"`, or `"skipped"` where the backend or the
            network does not allow it.
        result: What was measured, or why it was skipped or failed.
        seconds: How long it took.
    """

    name: str
    status: Status
    result: str
    seconds: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class DemoResult:
    """What the demo measured.

    Args:
        backend: The Keras backend.
        accuracy: Fraction of the held-out images that the model gets right.
        parameters: Number of parameters of the model.
        steps: The steps in order.
    """

    backend: str
    accuracy: float
    parameters: int
    steps: tuple[Step, ...]

    @property
    def passed(self) -> bool:
        """Whether no step failed."""
        return all(step.status != "failed" for step in self.steps)

    @property
    def exit_code(self) -> int:
        """Exit code of a process that ran the demo: 0 if it passed."""
        return 0 if self.passed else 1

    def verdict(self) -> str:
        """Returns one sentence that says whether the demo passed."""
        failed = [step for step in self.steps if step.status == "failed"]
        if failed:
            reasons = "; ".join(f"{x.name}: {x.result}" for x in failed)
            return f"The demo FAILED. {reasons}"
        return "The demo passed."

    def table(self) -> str:
        """Returns the steps as a table of plain text."""
        rows = [_HEADER]
        for step in self.steps:
            rows.extend(_rows(step))
        total = sum(step.seconds for step in self.steps)
        rows.append(("total", "", "", f"{total:.1f}"))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [_line(row, widths) for row in rows]
        rule = "-" * len(lines[0])
        return "\n".join([lines[0], rule, *lines[1:-1], rule, lines[-1]])

    def write(self, path: pathlib.Path) -> None:
        """Writes everything as JSON.

        Args:
            path: The file.
        """
        content = dataclasses.asdict(self) | {"passed": self.passed}
        with replace_file(path) as temporary:
            temporary.write_text(json.dumps(content, indent=2) + "\n")


def _rows(step: Step) -> list[Row]:
    first, *others = textwrap.wrap(step.result, _RESULT_WIDTH) or [""]
    return [
        (step.name, step.status, first, f"{step.seconds:.1f}"),
        *(("", "", text, "") for text in others),
    ]


def _line(row: Row, widths: list[int]) -> str:
    *texts, seconds = row
    cells = [
        text.ljust(width) for text, width in zip(texts, widths, strict=False)
    ]
    return "  ".join([*cells, seconds.rjust(widths[-1])])
