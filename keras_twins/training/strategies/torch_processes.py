"""Data parallelism on PyTorch: one process for each device."""

import contextlib
import datetime
import os
import zlib
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from typing import final

import keras
import numpy as np

from keras_twins.training.strategies.base import Distribution
from keras_twins.training.strategies.local_data import copy_values
from keras_twins.training.strategies.local_data import local_batch_size
from keras_twins.training.strategies.local_data import predict_all

_LAUNCHED = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@final
class TorchProcesses(Distribution):
    """The processes that `torchrun` starts, one for each device.

    Each process trains on its part of every global batch; gradients are
    averaged by `torch.nn.parallel.DistributedDataParallel` while they are
    computed. Weights begin as those of the first process. Metrics that `fit`
    and `evaluate` show are those of all processes, after each step. So a
    training gives what one process gives with the whole batch, apart from
    stochastic depth and dropout: these draw other numbers in each process,
    which follow from the states of the seed generators and the number of the
    process.

    Processes meet in each step of `fit` and `evaluate`: all of them call these
    on equally many batches. One that does not come, or has ended, is an error
    in the others after `timeout_seconds`, mostly at once.

    The devices are GPUs, one for each process of a host (NCCL), or CPUs where
    there is none or `KERAS_TORCH_DEVICE=cpu` (Gloo).

    Args:
        timeout_seconds: How long a process waits for the others before it
            gives up. What one process does alone, such as writing a
            checkpoint, takes less.

    Raises:
        ValueError: If Keras does not run on PyTorch, `torchrun` did not start
            the process, or it started more on this host than there are GPUs.

    Example:

    ```python
    from keras_twins.training.strategies import TorchProcesses

    def train(model, dataset):
        distribution = TorchProcesses()
        with distribution.scope():
            model.compile("adamw", "sparse_categorical_crossentropy")
            distribution.prepare(model)
            model.fit(distribution.adapt(dataset), epochs=1)
        distribution.close()
    ```
    """

    def __init__(self, timeout_seconds: float = 600.0) -> None:
        if keras.backend.backend() != "torch":
            raise ValueError(
                "`ddp` is for Keras on PyTorch: set KERAS_BACKEND=torch. "
                f"Received: {keras.backend.backend()}"
            )
        import torch.distributed as dist

        rank, local, size = _place(os.environ)
        self._gpu = _gpu(local, os.environ)
        self._began_group = not dist.is_initialized()
        if self._began_group:
            dist.init_process_group(
                "gloo" if self._gpu is None else "nccl",
                timeout=datetime.timedelta(seconds=timeout_seconds),
                rank=rank,
                world_size=size,
                device_id=self._gpu,
            )
        super().__init__("ddp", size, size, rank)
        self._prepared: list[keras.Model] = []

    def scope(self) -> AbstractContextManager[None]:
        # The device of the process is set for the whole process.
        return contextlib.nullcontext()

    def prepare(self, model: keras.Model) -> None:
        from keras_twins.training.strategies import torch_gradients
        from keras_twins.training.strategies import torch_steps

        _check_trainable(model)
        _undo(model)
        optimizer = model.optimizer
        if not optimizer.built:
            optimizer.build(model.trainable_variables)
        variables = [*model.variables, *optimizer.variables]
        sizes = repr([(tuple(v.shape), v.dtype) for v in variables]).encode()
        self._check_same(
            "The shapes of the variables", [len(variables), zlib.crc32(sizes)]
        )
        torch_steps.broadcast([*variables, *model.metrics_variables])
        if model.trainable_variables:
            torch_gradients.GradientAverage(
                optimizer, model.trainable_variables
            )
        step = torch_steps.with_own_seeds(model, model.train_step)
        step = torch_steps.with_shared_metrics(model, step)
        model.train_step = torch_steps.with_equal_batches(
            step, self._check_same
        )
        model.test_step = torch_steps.with_shared_metrics(
            model, model.test_step
        )
        self._prepared.append(model)

    def adapt(self, dataset: Any) -> Any:
        batches = int(dataset.cardinality())
        self._check_same(
            "The number of batches, and that of the rows of one,",
            [batches, local_batch_size(dataset, 1)],
        )
        return dataset

    def predict(self, model: keras.Model, dataset: Any) -> Any:
        return predict_all(model, dataset, dataset.cardinality())

    def sum_arrays(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [self._sum(np.asarray(array)) for array in arrays]

    def barrier(self) -> None:
        import torch.distributed as dist

        ids = None if self._gpu is None else [self._gpu.index]
        dist.barrier(device_ids=ids)

    def read(self, variables: Sequence[keras.Variable]) -> list[np.ndarray]:
        return copy_values(variables)

    def close(self) -> None:
        import torch.distributed as dist

        for model in self._prepared:
            _undo(model)
        self._prepared.clear()
        if self._began_group and dist.is_initialized():
            dist.destroy_process_group()

    def _sum(self, array: np.ndarray) -> np.ndarray:
        import torch
        import torch.distributed as dist

        wide = "int64" if array.dtype.kind in "biu" else "float64"
        total = torch.tensor(array.astype(wide), device=self._gpu)
        dist.all_reduce(total)
        return total.cpu().numpy().astype(array.dtype)

    def _check_same(self, what: str, numbers: list[int]) -> None:
        """Raises an error, in all processes, if numbers are not the same."""
        import torch
        import torch.distributed as dist

        ends = torch.tensor([[n, -n] for n in numbers], device=self._gpu)
        dist.all_reduce(ends, dist.ReduceOp.MAX)
        most, least = ends[:, 0].tolist(), (-ends[:, 1]).tolist()
        if most != least:
            raise ValueError(
                f"{what} must be the same in all processes. Cut global "
                "batches into equal parts (a `batch_size` that the number of "
                "processes divides, `drop_remainder=True`) and build the same "
                f"model in each. Received: {numbers} in process "
                f"{self.process_index}, at least {least} and at most {most} "
                "in others"
            )


def _place(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Returns the rank, the rank on this host, and the number of processes."""
    missing = [name for name in _LAUNCHED if name not in environment]
    if missing:
        raise ValueError(
            "`ddp` is for processes that `torchrun` starts: `torchrun "
            "--standalone --nproc-per-node 8 -m keras_twins train ...` for 8 "
            f"GPUs of one host. Not set: {', '.join(missing)}"
        )
    rank, local, size = (int(environment[name]) for name in _LAUNCHED[:3])
    return rank, local, size


def _gpu(local: int, environment: Mapping[str, str]) -> Any:
    """Returns the GPU of this process, as its current one; else None."""
    import torch

    if environment.get("KERAS_TORCH_DEVICE", "cuda").startswith("cpu"):
        return None
    if not torch.cuda.is_available():
        return None
    if local >= torch.cuda.device_count():
        raise ValueError(
            "Start at most one process for each GPU of a host "
            f"(`--nproc-per-node {torch.cuda.device_count()}`). Received: "
            f"LOCAL_RANK={local}"
        )
    # Keras's device is "cuda", which is the current one.
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def _check_trainable(model: keras.Model) -> None:
    optimizer = getattr(model, "optimizer", None)
    if not model.built or optimizer is None:
        raise ValueError(
            "Build and compile a model before `prepare`. Received: "
            f"model={model.name} with built={model.built}, {optimizer=}"
        )
    if model.jit_compile:
        raise ValueError(
            "`ddp` does not train what `torch.compile` compiled: leave "
            "`jit_compile` of `compile` out. Received: jit_compile=True"
        )


def _undo(model: keras.Model) -> None:
    """Gives a model and its optimizer their own methods back."""
    for owner, names in (
        (model, ("train_step", "test_step")),
        (model.optimizer, ("scale_loss", "apply")),
    ):
        for name in names:
            if name in vars(owner):
                delattr(owner, name)
