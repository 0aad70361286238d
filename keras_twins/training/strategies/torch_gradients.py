"""Gradients that are averaged over the processes of PyTorch."""

from collections.abc import Sequence
from typing import Any

import keras
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from keras_twins.ops import Tensor


class GradientAverage:
    """Averages gradients over the processes while they are computed.

    Keras's own step of training, or that of a model, stays as it is: this
    takes the place of two methods of the optimizer that each step calls,
    `scale_loss` before the backward pass and `apply` after it.

    `DistributedDataParallel` wraps the weights alone and lets the loss pass.
    It needs no more: the averages of a bucket start when the backward pass has
    come that far, and which weights a loss depends on can be read from the
    loss. Around the model, it would miss what a loss does after the forward
    pass, and steps of training that do more than one call of the model.

    The first step averages without it and shows which weights get gradients.
    Only where some get none in some process, later steps search the graph of
    the loss for them (`find_unused_parameters`).

    Args:
        optimizer: The optimizer of the model, built.
        variables: The variables that it trains.
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: Sequence[keras.Variable],
    ) -> None:
        self._scale_loss = optimizer.scale_loss
        self._apply = optimizer.apply
        self._variables = list(variables)
        self._ddp: DistributedDataParallel | None = None
        self._has_loss = False
        optimizer.scale_loss = self.scale_loss
        optimizer.apply = self.apply

    def scale_loss(self, loss: Tensor) -> Tensor:
        """Scales a loss, whose backward pass will average the gradients.

        Args:
            loss: Loss of this process's part of the batch.

        Returns:
            The scaled loss.
        """
        self._has_loss = True
        scaled = self._scale_loss(loss)
        return scaled if self._ddp is None else self._ddp(scaled)

    def apply(
        self,
        grads: Sequence[Tensor | None],
        trainable_variables: Sequence[keras.Variable] | None = None,
    ) -> None:
        """Updates the variables with averaged gradients.

        Args:
            grads: Gradients, one for each variable.
            trainable_variables: The variables.

        Raises:
            ValueError: If other variables are trained than at first.
            RuntimeError: If the gradients are of this process alone.
        """
        if len(grads) != len(self._variables):
            raise ValueError(
                "The model trains other variables than when it was prepared: "
                "call `prepare` again after `trainable` has changed and "
                f"`compile` was called. Received: {len(grads)} gradients for "
                f"{len(self._variables)} variables"
            )
        if not self._has_loss:
            raise RuntimeError(
                "The step of training must hand its loss to "
                "`optimizer.scale_loss` and call `backward` on what that "
                "returns: only so the gradients are averaged over the "
                "processes."
            )
        self._has_loss = False
        if self._ddp is None:
            grads = self._first_average(grads)
        elif not self._ddp.find_unused_parameters:
            self._check_complete(grads)
        self._apply(grads, trainable_variables)

    def _first_average(
        self, grads: Sequence[Tensor | None]
    ) -> list[Tensor | None]:
        weights = [variable.value for variable in self._variables]
        has_one = [int(grad is not None) for grad in grads]
        counts = torch.tensor(has_one, device=weights[0].device)
        dist.all_reduce(counts)
        in_processes = counts.tolist()
        self._ddp = _wrap(weights, min(in_processes) < dist.get_world_size())
        return [
            _mean(weight, grad) if count else None
            for weight, grad, count in zip(
                weights, grads, in_processes, strict=True
            )
        ]

    def _check_complete(self, grads: Sequence[Tensor | None]) -> None:
        missing = [
            variable.path
            for variable, grad in zip(self._variables, grads, strict=True)
            if grad is None
        ]
        if missing:
            raise RuntimeError(
                "All variables had gradients in the first step, so they are "
                "averaged as if they always had. Freeze what is not used, or "
                "call `prepare` again when the loss changes. Received: no "
                f"gradients for {', '.join(missing)}"
            )


def _wrap(weights: Sequence[Any], find_unused: bool) -> DistributedDataParallel:
    """Returns a function of losses that averages gradients of weights."""
    identity = torch.nn.Identity()
    identity.weights = torch.nn.ParameterList(weights)
    return DistributedDataParallel(
        identity,
        find_unused_parameters=find_unused,
        gradient_as_bucket_view=True,
        # They are the same already.
        init_sync=False,
    )


def _mean(weight: Tensor, grad: Tensor | None) -> Tensor:
    own = torch.zeros_like(weight) if grad is None else grad
    total = own.detach().contiguous()
    dist.all_reduce(total)
    return total / dist.get_world_size()
