"""The original files that hold Twins classifiers, and who licensed them.

One row per file. A file is recognised by its sha256, or by the first digits
of it where only these were published; files of the official repository were
published without any.
"""

import dataclasses
from collections.abc import Iterator

from keras_twins.weights.code_bases import Naming
from keras_twins.weights.registry import SOURCES


@dataclasses.dataclass(frozen=True, kw_only=True)
class OriginalFile:
    """A published file.

    Args:
        publisher: Who published it.
        variant: A key of `keras_twins.VARIANTS`.
        url: Where it can be had.
        naming: Whose tensor names it uses.
        dialect: Numeric details it was trained with, a key of
            `keras_twins.config.DIALECTS`.
        include_top: Whether it holds the classifier.
        sha256: Digest of the file in hexadecimal, its first digits, or `""`
            if nothing was published.
        licence: SPDX identifier of the weights' licence.
    """

    publisher: str
    variant: str
    url: str
    naming: Naming
    dialect: str
    include_top: bool = True
    sha256: str = ""
    licence: str = "Apache-2.0"


def find_original(digest: str) -> OriginalFile | None:
    """Returns the published file that a digest belongs to.

    Args:
        digest: sha256 of a file in hexadecimal.

    Returns:
        The row, or `None` if no published digest fits.
    """
    for row in original_files():
        if row.sha256 and digest.startswith(row.sha256):
            return row
    return None


def original_files() -> tuple[OriginalFile, ...]:
    """Returns every known file.

    Returns:
        The rows of timm, of the official repository, of mmpretrain, of
        mmsegmentation (backbones) and of PaddleClas.
    """
    return (
        *_timm(),
        *_meituan(),
        *_mmpretrain(),
        *_mmsegmentation(),
        *_paddle(),
    )


def _timm() -> Iterator[OriginalFile]:
    for variant, sources in SOURCES.items():
        for source in sources:
            yield OriginalFile(
                publisher="timm",
                variant=variant,
                url=source.resolve_url(),
                naming="official",
                dialect="timm",
                sha256=source.sha256 or source.sha256_prefix or "",
                licence=source.licence,
            )


# README of https://github.com/Meituan-AutoML/Twins.
_DRIVE = {
    "pcpvt_small": "1TWIx_8M-4y6UOKtbCgm1v-UVQ-_lYe6X",
    "pcpvt_base": "1BsD3ZRivvPsHoZB1AX-tbirFLtCln8ky",
    "pcpvt_large": "17xZXOWEcSGs0quBmMEkBYCxjPRYH-L45",
    "svt_small": "131SVOphM_-SaBytf4kWjo3ony5hpOt4S",
    "svt_base": "1s83To8xgDWY6Ad8VBP3Nx9gqY709rrGu",
    "svt_large": "1um39wxIaicmOquP2fr_SiZdxNCUou8w-",
}


def _meituan() -> Iterator[OriginalFile]:
    for variant, drive_id in _DRIVE.items():
        yield OriginalFile(
            publisher="Meituan-AutoML/Twins",
            variant=variant,
            url=f"https://drive.google.com/file/d/{drive_id}/view",
            naming="official",
            dialect="official",
        )


_OPENMMLAB = "https://download.openmmlab.com/"
# configs/twins/metafile.yml of https://github.com/open-mmlab/mmpretrain. One
# digest is known in full; the others are the digits in the file's name.
_PCPVT_SMALL = (
    "ef23c132078a8355a6c5705cd57e1f24cf356e8b1b44ea8d245abf2f40a130b3"
)
_MMPRETRAIN = {
    "pcpvt_small": ("8xb128", _PCPVT_SMALL),
    "pcpvt_base": ("8xb128", "f8c4b0d5"),
    "pcpvt_large": ("16xb64", "c1ef8d80"),
    "svt_small": ("8xb128", "8fe5205b"),
    "svt_base": ("8xb128", "e31cc8e9"),
    "svt_large": ("16xb64", "4817645f"),
}


def _mmpretrain() -> Iterator[OriginalFile]:
    for variant, (batch, sha256) in _MMPRETRAIN.items():
        name = (
            f"twins-{variant.replace('_', '-')}_3rdparty_{batch}_in1k_"
            f"20220126-{sha256[:8]}.pth"
        )
        yield OriginalFile(
            publisher="mmpretrain",
            variant=variant,
            url=f"{_OPENMMLAB}mmclassification/v0/twins/{name}",
            naming="mmpretrain",
            dialect=f"mmpretrain_{variant.split('_')[0]}",
            sha256=sha256,
        )


# Backbones from which mmsegmentation trains.
_MMSEGMENTATION = {
    "pcpvt_small": ("pcpvt_small", "e638c41c"),
    "pcpvt_base": ("pcpvt_base", "0621964c"),
    "pcpvt_large": ("pcpvt_large", "37579dc6"),
    "svt_small": ("alt_gvt_small", "7e1c3695"),
    "svt_base": ("alt_gvt_base", "1b7eb711"),
    "svt_large": ("alt_gvt_large", "fb5936f3"),
}


def _mmsegmentation() -> Iterator[OriginalFile]:
    folder = f"{_OPENMMLAB}mmsegmentation/v0.5/pretrain/twins/"
    for variant, (name, sha256) in _MMSEGMENTATION.items():
        yield OriginalFile(
            publisher="mmsegmentation",
            variant=variant,
            url=f"{folder}{name}_20220308-{sha256}.pth",
            naming="mmsegmentation",
            dialect="mmsegmentation",
            include_top=False,
            sha256=sha256,
        )


def _paddle() -> Iterator[OriginalFile]:
    folder = "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/"
    for variant, (name, _) in _MMSEGMENTATION.items():
        yield OriginalFile(
            publisher="PaddleClas",
            variant=variant,
            url=f"{folder}{name}_pretrained.pdparams",
            naming="paddle",
            dialect="official",
        )
