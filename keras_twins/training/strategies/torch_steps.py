"""What the steps of training and evaluation do in several torch processes."""

import contextlib
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import keras
import torch
import torch.distributed as dist

Step = Callable[[Any], dict[str, Any]]
"""From a batch to logs, as `train_step` and `test_step` of Keras's models."""


def with_shared_metrics(model: keras.Model, step: Step) -> Step:
    """Returns a step after which metrics are those of all processes.

    The states of metrics are sums: what each process added in a step is added
    up, in one message of a few numbers. All processes have the same states
    after each step, so they show the same numbers, act on them in the same
    step, and any of them can be saved.

    Args:
        model: The model whose metrics these are.
        step: The step, of one process.

    Returns:
        The step of all.
    """

    def run(data: Any) -> dict[str, Any]:
        states = [
            variable.value
            for variable in model.metrics_variables
            if variable.aggregation == "sum"
        ]
        before = [state.detach().clone() for state in states]
        for state in states:
            state.detach().zero_()
        logs = step(data)
        _add_up(states, before)
        shared = model.get_metrics_result()
        return {name: shared.get(name, logs[name]) for name in logs}

    return run


def _add_up(states: list[Any], before: list[Any]) -> None:
    """Sets states to those before and the sums of what was added since."""
    if not states:
        return
    added = torch.cat([state.detach().flatten().double() for state in states])
    dist.all_reduce(added)
    lengths = [state.numel() for state in states]
    parts = added.split(lengths)
    for state, old, part in zip(states, before, parts, strict=True):
        total = old.double() + part.reshape(old.shape)
        state.detach().copy_(total)


def with_own_seeds(model: keras.Model, step: Step) -> Step:
    """Returns a step in which each process draws random numbers of its own.

    Else, row i of each process's part would lose the same branches to
    stochastic depth. The states of the generators are only changed during a
    step: between steps they are the same in all processes, those that the
    first one writes into a checkpoint.

    Args:
        model: The model whose generators these are.
        step: The step.

    Returns:
        The step with random numbers of this process.
    """

    def run(data: Any) -> dict[str, Any]:
        with _own_seeds(model):
            return step(data)

    return run


@contextlib.contextmanager
def _own_seeds(model: keras.Model) -> Iterator[None]:
    # Keras adds a seed and the number of the draw: the numbers of processes
    # are far apart, and 0 for the first.
    number = dist.get_rank() * 0x9E3779B1 & 0x7FFFFFFF
    seeds = [
        variable.value.detach()[0]
        for variable in model.non_trainable_variables
        if variable.name == "seed_generator_state"
    ]
    for seed in seeds:
        seed.bitwise_xor_(number)
    try:
        yield
    finally:
        for seed in seeds:
            seed.bitwise_xor_(number)


def with_equal_batches(
    step: Step, check_same: Callable[[str, list[int]], None]
) -> Step:
    """Returns a step that refuses batches of other sizes than the first one.

    The gradient of a global batch is the mean of those of its parts only if
    these are equally large.

    Args:
        step: The step.
        check_same: Raises an error if numbers are not the same in all
            processes; it is called in the first step alone.

    Returns:
        The step, with the check.
    """
    expected: list[int] = []

    def run(data: Any) -> dict[str, Any]:
        rows = _rows(data)
        if not expected:
            check_same("The number of rows of a batch", [rows])
            expected.append(rows)
        if rows != expected[0]:
            raise ValueError(
                "In several processes, all batches of a training must have "
                "the same number of rows. Drop those that are left over "
                "(`drop_remainder=True`); before training on batches of "
                f"another size, call `prepare` again. Received: {rows} rows "
                f"after batches of {expected[0]}"
            )
        return step(data)

    return run


def _rows(data: Any) -> int:
    """Returns the number of rows of a batch."""
    shapes = [
        tuple(leaf.shape)
        for leaf in keras.tree.flatten(data)
        if hasattr(leaf, "shape")
    ]
    return next((shape[0] for shape in shapes if shape), 0)


def broadcast(variables: list[keras.Variable]) -> None:
    """Gives variables the values that they have in the first process.

    Args:
        variables: Variables, the same in each process, in the same order.
    """
    for variable in variables:
        value = variable.value.detach()
        sent = value.contiguous()
        dist.broadcast(sent, src=0)
        value.copy_(sent)
