"""What a system is: a program, whose it is, and what it can do."""

import dataclasses
from collections.abc import Mapping
from typing import Any
from typing import Literal

Group = Literal[
    "keras", "artifact", "timm", "timm-artifact", "peer", "alternative"
]
"""Ours in Keras; ours exported; timm; timm exported; others' heads and
operators; what else Keras has."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Writer:
    """What writes the file that a system runs, in a process before.

    Args:
        name: Its name in the results.
        function: `"module:function"` that takes the fields of a `Task`,
            batch sizes and a folder, writes files there, and returns them by
            batch size.
        environment: Environment variables of the process.
        options: What else the function takes.
    """

    name: str
    function: str
    environment: Mapping[str, str]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, kw_only=True)
class System:
    """A row of the table: something that computes images a second.

    Args:
        name: Its name in the command line and in the results.
        label: What it is, in words.
        group: Whose it is.
        function: `"module:function"` that builds it in a worker: takes a
            `Task`, returns a `Program`.
        options: What else the function takes.
        environment: Environment variables of the worker.
        packages: Modules that it needs.
        dtypes: What it can compute in.
        training: Whether it can train.
        reference: Whether the others are compared with it.
        writer: Writes the file that it runs, if it runs one.
    """

    name: str
    label: str
    group: Group
    function: str
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    environment: Mapping[str, str] = dataclasses.field(default_factory=dict)
    packages: tuple[str, ...] = ()
    dtypes: tuple[str, ...] = ("float32", "bfloat16")
    training: bool = True
    reference: bool = False
    writer: Writer | None = None

    @property
    def ours(self) -> bool:
        """Whether it runs a model of this package."""
        return self.group in ("keras", "artifact")

    @property
    def twins(self) -> bool:
        """Whether it runs Twins, by whomever."""
        return self.group != "alternative"
