"""Captions of boxes, where they hide as little as they can."""

import bisect
import pathlib
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

if TYPE_CHECKING:
    from PIL import ImageFont

Place = tuple[float, float, float, float]
"""Left, top, right, bottom in pixels."""

_LUMINANCE = np.array([0.299, 0.587, 0.114])
_MARGIN = 2
_FONT = "fonts/ttf/DejaVuSans.ttf"


def write_captions(
    canvas: Any,
    size: tuple[int, int],
    boxes: np.ndarray,
    captions: Sequence[tuple[str, str]],
    colors: np.ndarray,
) -> None:
    """Writes a caption at each box: above it, within it, or below.

    Where matplotlib is installed its font is taken, which has the letters of
    Latin, Greek and Cyrillic; Pillow's has those of English. What a font
    lacks, such as Chinese, becomes a frame.

    Args:
        canvas: What Pillow draws on.
        size: Width and height of the picture.
        boxes: Array of shape `(boxes, 4)`, the most important last.
        captions: For each box a name, which is shortened where the picture
            is too narrow, and what stands behind it.
        colors: Array of shape `(boxes, 3)`, uint8: what the texts are written
            on.
    """
    font = _font(max(13, round(max(size) / 60)))
    places: list[Place] = []
    room = size[0] - 2 * _MARGIN
    texts = [_shortened(*caption, font, room) for caption in captions]
    extents = [canvas.textbbox((0, 0), text, font=font) for text in texts]
    for box, extent in zip(boxes[::-1], extents[::-1], strict=True):
        width, height = (x + 2 * _MARGIN for x in extent[2:])
        places.append(_place(box, width, height, size, places))
    rows = zip(places[::-1], texts, colors, strict=True)
    for (left, top, right, bottom), text, color in rows:
        canvas.rectangle(
            (left, top, right - 1, bottom - 1), fill=tuple(color.tolist())
        )
        canvas.text(
            (left + _MARGIN, top + _MARGIN),
            text,
            font=font,
            fill="black" if color @ _LUMINANCE > 128 else "white",
        )


def _font(size: int) -> "ImageFont.FreeTypeFont | ImageFont.ImageFont":
    from PIL import ImageFont

    try:
        import matplotlib

        path = pathlib.Path(matplotlib.get_data_path(), _FONT)
        return ImageFont.truetype(path, size)
    # Without matplotlib, or where a distribution keeps its fonts elsewhere.
    except (ImportError, OSError):
        return ImageFont.load_default(size=size)


def _shortened(name: str, score: str, font: Any, room: float) -> str:
    """Returns a caption that is no wider than the picture."""

    def width(text: str) -> float:
        return font.getbbox(text)[2]

    if width(f"{name} {score}") <= room:
        return f"{name} {score}"

    def cut(length: int) -> str:
        # Three dots, as not every font has them in one.
        return f"{name[:length].rstrip()}... {score}"

    fitting = bisect.bisect_right(
        range(1, len(name)), room, key=lambda length: width(cut(length))
    )
    return cut(fitting) if fitting else score


def _place(
    box: np.ndarray,
    width: float,
    height: float,
    size: tuple[int, int],
    taken: Sequence[Place],
) -> Place:
    """Returns the first place that is free, or the first one."""
    x1, y1, x2, y2 = box.tolist()
    corners = [
        (x1, y1 - height),
        (x1, y1),
        (x2 - width, y1),
        (x1, y2),
        (x1, y2 - height),
        (x2 - width, y2 - height),
    ]
    places = [_within(x, y, width, height, size) for x, y in corners]
    free = (x for x in places if not any(_overlap(x, y) for y in taken))
    return next(free, places[0])


def _within(
    left: float, top: float, width: float, height: float, size: tuple[int, int]
) -> Place:
    left = max(0.0, min(left, size[0] - width))
    top = max(0.0, min(top, size[1] - height))
    return left, top, left + width, top + height


def _overlap(first: Place, second: Place) -> bool:
    return (
        first[0] < second[2]
        and second[0] < first[2]
        and first[1] < second[3]
        and second[1] < first[3]
    )
