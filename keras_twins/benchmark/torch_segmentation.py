"""Models of segmentation in plain PyTorch, on timm's backbone: the peer.

The heads are those of mmsegmentation, as `torch.nn` modules. Its Twins-SVT has
norms between the stages; timm does not, nor do the models of this package that
are measured beside it.
"""

import importlib
from typing import Any

from keras_twins.benchmark.task import Task

_CLASSES = 150


def build_module(task: Task, head: str) -> Any:
    """Returns a model of segmentation.

    Args:
        task: Gives the architecture and the size of the images.
        head: `"semantic_fpn"` or `"upernet"`.

    Returns:
        A `torch.nn.Module` from images to scores of their size; in training,
        of UPerNet, to a pair of scores, the second of the auxiliary head.
    """
    import torch

    timm = importlib.import_module("timm")
    body = timm.create_model(
        f"twins_{task.variant}",
        pretrained=False,
        features_only=True,
        img_size=task.size,
    )
    widths = list(task.architecture().embed_dims)
    heads = {"semantic_fpn": _semantic_fpn, "upernet": _upernet}
    parts = heads[head](widths)

    class Segmenter(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.body = body
            self.head = parts
            self.auxiliary = None
            if head == "upernet":
                self.auxiliary = torch.nn.Sequential(
                    _block(widths[2], 256), torch.nn.Conv2d(256, _CLASSES, 1)
                )

        def forward(self, images: Any) -> Any:
            maps = self.body(images)
            scores = _resized(self.head(maps), images)
            if self.auxiliary is None or not self.training:
                return scores
            return scores, _resized(self.auxiliary(maps[2]), images)

    return Segmenter()


def _block(inputs: int, outputs: int, side: int = 3) -> Any:
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(inputs, outputs, side, padding=side // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _resized(x: Any, like: Any) -> Any:
    import torch

    return torch.nn.functional.interpolate(
        x, like.shape[2:], mode="bilinear", align_corners=False
    )


def _classifier(inputs: int) -> Any:
    from torch import nn

    return nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(inputs, _CLASSES, 1))


def _semantic_fpn(widths: list[int]) -> Any:
    import torch
    from torch import nn

    class SemanticFPN(nn.Module):
        def __init__(self):
            super().__init__()
            self.laterals = nn.ModuleList(nn.Conv2d(w, 256, 1) for w in widths)
            self.outputs = nn.ModuleList(
                nn.Conv2d(256, 256, 3, padding=1) for _ in widths
            )
            self.scales = nn.ModuleList(self._scale(i) for i in range(4))
            self.classifier = _classifier(128)

        def _scale(self, level: int) -> Any:
            parts = []
            for i in range(max(level, 1)):
                parts.append(_block(128 if i else 256, 128))
                if level:
                    parts.append(nn.Upsample(scale_factor=2, mode="bilinear"))
            return nn.Sequential(*parts)

        def forward(self, maps: Any) -> Any:
            maps = [f(x) for f, x in zip(self.laterals, maps, strict=True)]
            for i in (3, 2, 1):
                maps[i - 1] = maps[i - 1] + torch.nn.functional.interpolate(
                    maps[i], maps[i - 1].shape[2:], mode="nearest"
                )
            maps = [f(x) for f, x in zip(self.outputs, maps, strict=True)]
            maps = [f(x) for f, x in zip(self.scales, maps, strict=True)]
            total = maps[0] + sum(_resized(x, maps[0]) for x in maps[1:])
            return self.classifier(total)

    return SemanticFPN()


def _upernet(widths: list[int]) -> Any:
    import torch
    from torch import nn

    class UPerNet(nn.Module):
        def __init__(self):
            super().__init__()
            last = widths[-1]
            self.pools = nn.ModuleList(
                nn.Sequential(nn.AdaptiveAvgPool2d(n), _block(last, 512, 1))
                for n in (1, 2, 3, 6)
            )
            self.bottleneck = _block(last + 4 * 512, 512)
            self.laterals = nn.ModuleList(
                _block(w, 512, 1) for w in widths[:-1]
            )
            self.outputs = nn.ModuleList(_block(512, 512) for _ in range(3))
            self.fusion = _block(4 * 512, 512)
            self.classifier = _classifier(512)

        def forward(self, maps: Any) -> Any:
            pooled = [_resized(f(maps[3]), maps[3]) for f in self.pools]
            top = self.bottleneck(torch.cat([maps[3], *pooled], 1))
            pairs = zip(self.laterals, maps[:-1], strict=True)
            maps = [*(f(x) for f, x in pairs), top]
            for i in (3, 2, 1):
                maps[i - 1] = maps[i - 1] + _resized(maps[i], maps[i - 1])
            pairs = zip(self.outputs, maps[:-1], strict=True)
            maps = [*(f(x) for f, x in pairs), top]
            joined = torch.cat([_resized(x, maps[0]) for x in maps], 1)
            return self.classifier(self.fusion(joined))

    return UPerNet()
