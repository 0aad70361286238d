"""RetinaNet in plain PyTorch, on timm's backbone: the peer.

It is mmdetection's, as `torch.nn` modules. The official Twins-SVT has norms
between the stages; timm's does not, nor do the models of this package that
are measured beside it.

Shape suffixes: B batch, H height, W width.
"""

import importlib
import math
from typing import Any

from keras_twins.benchmark.detection_inputs import CLASSES
from keras_twins.benchmark.task import Task
from keras_twins.benchmark.torch_detection_losses import decode
from keras_twins.benchmark.torch_detection_losses import retinanet_loss
from keras_twins.benchmark.torch_suppression import find_suppression

_STRIDES = (8, 16, 32, 64, 128)
_RATIOS = (0.5, 1.0, 2.0)
_SCALES = (4.0, 4.0 * 2 ** (1 / 3), 4.0 * 2 ** (2 / 3))
_WIDTH = 256
_RARE = 0.01


def timm_body(task: Task) -> Any:
    """Returns timm's backbone.

    Args:
        task: Gives the variant and the size of the images.

    Returns:
        A `torch.nn.Module` from images to maps of four levels.
    """
    timm = importlib.import_module("timm")
    return timm.create_model(
        f"twins_{task.variant}",
        pretrained=False,
        features_only=True,
        img_size=task.size,
    )


def build_network(task: Task, body: Any) -> Any:
    """Returns what gives the scores and offsets of every anchor.

    Args:
        task: Gives the architecture.
        body: A module from images to maps of four levels.

    Returns:
        A `torch.nn.Module` from images to two lists, with a tensor of shape
        `(batch, anchors, classes)`, or `(batch, anchors, 4)`, for each level.
    """
    from torch import nn

    widths = task.architecture().embed_dims[1:]
    anchors = len(_RATIOS) * len(_SCALES)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = body
            self.neck = _pyramid(list(widths))
            self.classes = _tower(anchors * CLASSES)
            self.boxes = _tower(anchors * 4)
            rare = -math.log((1 - _RARE) / _RARE)
            nn.init.constant_(self.classes[-1].bias, rare)

        def forward(self, images: Any) -> tuple[list[Any], list[Any]]:
            maps = self.neck(self.body(images)[1:])
            logits = [_rows(self.classes(x), CLASSES) for x in maps]
            return logits, [_rows(self.boxes(x), 4) for x in maps]

    return Network()


def build_module(task: Task, network: Any) -> Any:
    """Returns RetinaNet.

    Args:
        task: Gives the size of the images.
        network: What `build_network` returned, or its compiled form.

    Returns:
        A `torch.nn.Module` from images to the detections of each; in
        training, to the scores, the offsets and the anchors.
    """
    import torch

    suppress = find_suppression()

    class RetinaNet(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network
            for level, anchors in enumerate(make_anchors(task.size)):
                self.register_buffer(f"anchors{level}", anchors)

        def forward(self, images: Any) -> Any:
            logits, deltas = self.network(images)
            anchors: list[Any] = [
                getattr(self, f"anchors{i}") for i in range(len(logits))
            ]
            if self.training:
                parts = torch.cat(logits, 1), torch.cat(deltas, 1)
                return (*parts, torch.cat(anchors))
            return [
                decode(
                    [x[image] for x in logits],
                    [x[image] for x in deltas],
                    anchors,
                    images.shape[-1],
                    suppress,
                )
                for image in range(len(images))
            ]

    return RetinaNet()


def module_loss(outputs: Any, truth: Any) -> Any:
    """Returns the loss of what the module returned in training.

    Args:
        outputs: Scores, offsets and anchors.
        truth: `"boxes"` and `"labels"` of each image.

    Returns:
        A scalar.
    """
    logits, deltas, anchors = outputs
    return retinanet_loss(logits, deltas, anchors, truth)


def make_anchors(size: int) -> list[Any]:
    """Returns the anchors of each level.

    Args:
        size: Side of the images in pixels.

    Returns:
        Boxes of shape `(anchors, 4)` for each level.
    """
    return [_anchors(stride, math.ceil(size / stride)) for stride in _STRIDES]


def _anchors(stride: int, cells: int) -> Any:
    import torch

    heights = torch.tensor(_RATIOS).sqrt()[:, None]
    scales = torch.tensor(_SCALES) * stride
    halves = torch.stack([scales / heights, scales * heights], -1) / 2
    halves = halves.reshape(-1, 2)
    corners: Any = torch.arange(cells) * stride
    y, x = torch.meshgrid(corners, corners, indexing="ij")
    centers = torch.stack([x, y], -1).reshape(-1, 1, 2).float()
    return torch.cat([centers - halves, centers + halves], -1).reshape(-1, 4)


def _tower(outputs: int) -> Any:
    from torch import nn

    parts: list[Any] = []
    for _ in range(4):
        parts += [nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.ReLU(True)]
    tower = nn.Sequential(*parts, nn.Conv2d(_WIDTH, outputs, 3, padding=1))
    for part in [*parts[::2], tower[-1]]:
        nn.init.normal_(part.weight, std=0.01)
        nn.init.zeros_(part.bias)
    return tower


def _rows(x: Any, values: int) -> Any:
    return x.permute(0, 2, 3, 1).reshape(len(x), -1, values)


def _pyramid(widths: list[int]) -> Any:
    import torch
    from torch import nn

    def convolution(inputs: int, stride: int = 1) -> nn.Conv2d:
        return nn.Conv2d(inputs, _WIDTH, 3, stride=stride, padding=1)

    class Pyramid(nn.Module):
        def __init__(self):
            super().__init__()
            self.laterals = nn.ModuleList(
                nn.Conv2d(w, _WIDTH, 1) for w in widths
            )
            self.outputs = nn.ModuleList(convolution(_WIDTH) for _ in widths)
            self.extras = nn.ModuleList(
                [convolution(widths[-1], 2), convolution(_WIDTH, 2)]
            )

        def forward(self, inputs: Any) -> list[Any]:
            pairs = zip(self.laterals, inputs, strict=True)
            maps = [lateral(x) for lateral, x in pairs]
            for i in range(len(maps) - 1, 0, -1):
                maps[i - 1] = maps[i - 1] + torch.nn.functional.interpolate(
                    maps[i], maps[i - 1].shape[2:], mode="nearest"
                )
            maps = [f(x) for f, x in zip(self.outputs, maps, strict=True)]
            x = inputs[-1]
            for convolution in self.extras:
                x = convolution(x)
                maps.append(x)
            return maps

    return Pyramid()
