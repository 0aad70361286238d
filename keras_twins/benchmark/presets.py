"""How much is measured: the short form and the long one."""

import dataclasses
from collections.abc import Sequence

from keras_twins.benchmark.machine import computes_bfloat16
from keras_twins.benchmark.plan import Case
from keras_twins.benchmark.plan import inference_cases
from keras_twins.benchmark.system import System
from keras_twins.benchmark.systems import select_systems


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preset:
    """What is measured where nothing else is asked for.

    Args:
        rounds: How often each system is measured.
        burst: Seconds that one measurement takes, at least one step.
        training: Dtypes of the training steps.
        scale_sizes: Sides in pixels, for cost against resolution.
        scale_rounds: How often each of them is measured.
        repeats: Processes for import, building and loading.
        detection: Names of the systems of the detectors and their operators;
            `None`: all.
        left_out: Names of systems that run only when they are asked for.
        light: Groups of which only forward passes in float32 are measured,
            unless they are asked for.
        variants: Names of the architectures.
        batches: Numbers of images of forward passes; training steps have
            the largest.
        sizes: Sides of the images in pixels.
        dtypes: Dtypes of the forward passes.
    """

    rounds: int
    burst: float
    training: tuple[str, ...]
    scale_sizes: tuple[int, ...]
    scale_rounds: int
    repeats: int
    detection: tuple[str, ...] | None = None
    left_out: tuple[str, ...] = ()
    light: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("svt_small", "pcpvt_small")
    batches: tuple[int, ...] = (1, 16)
    sizes: tuple[int, ...] = (224,)
    dtypes: tuple[str, ...] = ("float32", "bfloat16")

    def systems(self, names: Sequence[str] | None = None) -> tuple[System, ...]:
        """Returns the systems.

        Args:
            names: What is asked for, as `select_systems` takes it.

        Returns:
            These; otherwise all, but for what the preset leaves out.
        """
        if names is not None:
            return select_systems(names)
        return tuple(
            dataclasses.replace(system, training=False, dtypes=("float32",))
            if system.group in self.light
            else system
            for system in select_systems()
            if system.name not in self.left_out
        )

    def cases(
        self,
        batches: Sequence[int] | None = None,
        sizes: Sequence[int] | None = None,
        dtypes: Sequence[str] | None = None,
        training: Sequence[str] | None = None,
    ) -> tuple[Case, ...]:
        """Returns the cases, some of them as asked for.

        The preset's bfloat16 is left out where the machine only emulates it.

        Args:
            batches: Instead of the preset's.
            sizes: Instead of the preset's.
            dtypes: Instead of the preset's.
            training: Instead of the preset's; empty for no training.

        Returns:
            Forward passes first.
        """
        batches, sizes = batches or self.batches, sizes or self.sizes
        inference = inference_cases(
            batches, sizes, dtypes or _worthwhile(self.dtypes)
        )
        steps = inference_cases(
            [max(batches)],
            sizes,
            _worthwhile(self.training) if training is None else training,
        )
        return inference + tuple(
            dataclasses.replace(case, training=True) for case in steps
        )


def _worthwhile(dtypes: Sequence[str]) -> list[str]:
    emulated = not computes_bfloat16()
    return [x for x in dtypes if x != "bfloat16" or not emulated]


SHORT = Preset(
    rounds=4,
    burst=0.5,
    training=("float32",),
    scale_sizes=(224, 384, 512, 768, 1024),
    scale_rounds=2,
    repeats=3,
    detection=(
        *("tensorflow", "jax", "torch"),
        *("pytorch", "torchvision", "keras-hub-jax"),
    ),
    left_out=("tensorflow-xla", "torch-compile"),
    light=("alternative",),
)
LONG = Preset(
    rounds=10,
    burst=1.0,
    training=("float32", "bfloat16"),
    scale_sizes=(224, 384, 512, 768, 1024, 1536, 2048),
    scale_rounds=3,
    repeats=5,
)
