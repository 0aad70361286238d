"""Where the published weights lie, and what was published about them.

The one table of sources. A source is *pinned* by the sha256 of its file;
pins that are not known are `None`, and the loader treats them accordingly.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Literal

Container = Literal["safetensors", "torch"]
Naming = Literal["official"]

DEFAULT_ENDPOINT = "https://huggingface.co"
ENDPOINT_VARIABLE = "HF_ENDPOINT"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """One place from which a variant's weights can be had.

    Args:
        url: Address; `{endpoint}` stands for the Hugging Face host or the
            mirror that the environment variable `HF_ENDPOINT` names.
        file_name: Name in the cache. Carries the hash, so that a new pin
            never meets an old file.
        container: Kind of file: `"safetensors"`, or `"torch"` for a pickled
            state dict.
        naming: Whose tensor names the file uses.
        licence: SPDX identifier of the weights' licence.
        revision: Full commit of the repository the file is taken from.
        sha256: Digest of the file in hexadecimal, or `None` if unknown.
        sha256_prefix: First digits of the digest, where only these were
            published.
        size: Length of the file in bytes, or `None` if unknown.
    """

    url: str
    file_name: str
    container: Container
    naming: Naming = "official"
    licence: str = "Apache-2.0"
    revision: str | None = None
    sha256: str | None = None
    sha256_prefix: str | None = None
    size: int | None = None

    @property
    def pinned(self) -> bool:
        """Whether a published digest, or its start, is known."""
        return bool(self.sha256 or self.sha256_prefix)

    @property
    def mirrored(self) -> bool:
        """Whether `HF_ENDPOINT` names the host."""
        return "{endpoint}" in self.url

    def resolve_url(self) -> str:
        """Returns the address with the host that `HF_ENDPOINT` names."""
        endpoint = os.environ.get(ENDPOINT_VARIABLE) or DEFAULT_ENDPOINT
        return self.url.replace("{endpoint}", endpoint.rstrip("/"))

    def accepts(self, digest: str) -> bool:
        """Returns whether a file with this sha256 is the published one.

        Args:
            digest: Digest of a file in hexadecimal.

        Returns:
            `True` if the digest has all the digits that are known.
        """
        return digest.startswith(self.sha256 or self.sha256_prefix or "")


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedResult:
    """What the authors of the weights measured on ImageNet-1k.

    Args:
        top1: Top-1 accuracy in percent at 224 x 224.
        top5: Top-5 accuracy in percent at 224 x 224.
        gmacs: Multiply-accumulates in 1e9, attention products included.
        gmacs_without_attention: The same without the attention products.
        source: Where the accuracies stand.
    """

    top1: float
    top5: float
    gmacs: float
    gmacs_without_attention: float
    source: str = "timm results-imagenet.csv, crop 0.9, bicubic"


def _hub(
    variant: str,
    sha256: str | None = None,
    revision: str | None = None,
    size: int | None = None,
) -> Source:
    """Returns the safetensors file of a `timm/twins_*.in1k` repository."""
    path = f"timm/twins_{variant}.in1k/resolve/{revision or 'main'}"
    tag = sha256[:8] if sha256 else "main"
    return Source(
        url=f"{{endpoint}}/{path}/model.safetensors",
        file_name=f"twins_{variant}_in1k_{tag}.safetensors",
        container="safetensors",
        revision=revision,
        sha256=sha256,
        size=size,
    )


_RELEASE = (
    "https://github.com/rwightman/pytorch-image-models/releases/download/"
    "v0.1-vt3p-weights/"
)


def _release(
    variant: str,
    prefix: str,
    sha256: str | None = None,
    size: int | None = None,
) -> Source:
    """Returns the `.pth` of timm's GitHub release, named after its hash."""
    name = f"twins_{variant}-{prefix}.pth"
    return Source(
        url=_RELEASE + name,
        file_name=name,
        container="torch",
        sha256=sha256,
        sha256_prefix=prefix,
        size=size,
    )


# In the order in which they are tried. Digests of the safetensors files stand
# on https://huggingface.co/timm/<name>/blob/main/model.safetensors, the first
# eight digits of the .pth files' digests in their names.
SOURCES: Mapping[str, tuple[Source, ...]] = {
    # Open pin: the digest of this repository's safetensors is not known, so
    # the file with a known prefix comes first.
    "pcpvt_small": (
        _release("pcpvt_small", "e70e7e7a"),
        _hub("pcpvt_small"),
    ),
    "pcpvt_base": (
        _hub(
            "pcpvt_base",
            "5722f0d29662fd5ff69a21701caaf5feebd1d657adb62391a75798c43b37760f",
            "e3b4fd1cb51702e36a58d2ed220f180f9d7c1c91",
        ),
        _release("pcpvt_base", "e5ecb09b"),
    ),
    "pcpvt_large": (
        _hub(
            "pcpvt_large",
            "423acdd738d41f7ed50bbafbfbf3e50f6ea098b5704bb749a969f1992ddd84c3",
            "b0d3cf747f73bb84a8032abbb43cb7b4f53c0a92",
        ),
        _release("pcpvt_large", "d273f802"),
    ),
    "svt_small": (
        _hub(
            "svt_small",
            "46e4bd7b30ae9ae3f2e9ec4fb669439c5f9676c6bc787687923424d704a06c1a",
            "5edde10cd4eb4cd9426bcb49629b388c57c02c8c",
        ),
        _release("svt_small", "42e5f78c"),
    ),
    # Open pin, as for pcpvt_small.
    "svt_base": (
        _release("svt_base", "c2265010"),
        _hub("svt_base"),
    ),
    "svt_large": (
        _hub(
            "svt_large",
            "2fbe754f6e595bd07294f381302e0b3f1d449176977e35e4f30200fe4f3bcf97",
            "9985cdd56ac6164db09e464008c512fb7b75228a",
            size=397_122_010,
        ),
        _release(
            "svt_large",
            "90f6aaa9",
            "90f6aaa970af86bdb15111d45bb3a3a4b3dac4a38fd267d08d31402dd540bb80",
            size=397_143_855,
        ),
    ),
}


def _result(
    top1: float, top5: float, gmacs: float, without_attention: float
) -> PublishedResult:
    return PublishedResult(
        top1=top1,
        top5=top5,
        gmacs=gmacs,
        gmacs_without_attention=without_attention,
    )


# Accuracies and GMACs with attention products: timm. Without them: mmpretrain
# configs/twins/metafile.yml.
RESULTS: Mapping[str, PublishedResult] = {
    "pcpvt_small": _result(81.116, 95.624, 3.83, 3.67),
    "pcpvt_base": _result(82.724, 96.350, 6.68, 6.45),
    "pcpvt_large": _result(83.158, 96.626, 9.84, 9.51),
    "svt_small": _result(81.694, 95.670, 2.94, 2.82),
    "svt_base": _result(83.122, 96.430, 8.59, 8.35),
    "svt_large": _result(83.718, 96.600, 15.15, 14.82),
}
