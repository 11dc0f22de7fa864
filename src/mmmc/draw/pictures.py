"""Annotated pictures at full resolution: 8-bit tensors in, 8-bit tensors out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int, UInt8
from PIL import ImageDraw
from torch import Tensor
from torchvision.transforms.v2 import functional
from torchvision.utils import draw_bounding_boxes

from mmmc.draw.colors import GREY, Color, class_colors, text_color
from mmmc.draw.lettering import Box, fit, font, place, shorten
from mmmc.structures import Detections, Target

_PAPER = 255
_SMALLEST = 8
"""Height in pixels of letters that can just be read."""
_COVERED = 0.2
"""Share of the picture that labels may cover before they shrink."""
_INK: Color = (40, 40, 40)


def detections(
    image: UInt8[Tensor, "3 H W"], detections: Detections, names: Sequence[str], threshold: float = 0.3
) -> UInt8[Tensor, "3 H W"]:
    """The picture with a solid box, the class and the score of each detection at or above the threshold.

    Args:
        image: the picture file's pixels, which are those of the detections.
        detections: what was found; boxes of better score lie on top.
        names: of the classes.
        threshold: least score that is drawn.
    """
    return _solid(image.cpu(), detections.above(threshold), names)


def objects(
    image: UInt8[Tensor, "3 H W"],
    boxes: Float[Tensor, "M 4"],
    labels: Int[Tensor, " M"],
    names: Sequence[str],
    crowd: Float[Tensor, "R 4"] | None = None,
) -> UInt8[Tensor, "3 H W"]:
    """The picture with the ground truth: a dashed box and the class of each object, crowd regions in grey.

    Args:
        image: the picture.
        boxes: in its pixels.
        labels: class indices.
        names: of the classes.
        crowd: regions whose objects are not told apart.
    """
    palette = class_colors(len(names))
    regions = [] if crowd is None else crowd.tolist()
    outlines = [*boxes.tolist(), *regions]
    colors = [palette[label] for label in labels.tolist()] + [GREY] * len(regions)
    texts = [shorten(names[label]) for label in labels.tolist()] + ["crowd"] * len(regions)
    if not outlines:
        return image.cpu().clone()
    return _lettered(_dashed(image.cpu(), outlines, colors), outlines, texts, colors)


def comparison(
    image: UInt8[Tensor, "3 H W"], target: Target, detections: Detections, names: Sequence[str], threshold: float = 0.3
) -> UInt8[Tensor, "3 _ _"]:
    """Ground truth at the left, predictions at the right, each at full resolution under its heading.

    Args:
        image: the picture file's pixels, which are those of the detections.
        target: the objects, in pixels of a batch; its `scale` leads back to the picture file.
        detections: what was found.
        names: of the classes.
        threshold: least score that is drawn.
    """
    back = target.boxes.new_tensor([*target.scale, *target.scale])
    truth = objects(image, target.boxes / back, target.labels, names, target.crowd / back)
    shown = detections.above(threshold)
    headings = [f"Ground truth · {len(target.labels)}", f"Predictions · {len(shown)} with score ≥ {threshold:g}"]
    pictures = [truth, _solid(image.cpu(), shown, names)]
    return mosaic(pictures, columns=2, size=(image.shape[1], image.shape[2]), captions=headings)


def mosaic(
    images: Sequence[UInt8[Tensor, "3 _ _"]],
    columns: int,
    size: tuple[int, int],
    captions: Sequence[str] | None = None,
) -> UInt8[Tensor, "3 _ _"]:
    """Pictures side by side on white, row by row, each fitted into one size with its proportions kept.

    Args:
        images: the pictures, of any size.
        columns: pictures in a row; fewer pictures make a narrower mosaic.
        size: height and width of each cell in pixels.
        captions: one line above each picture, cut where it is too long.

    Raises:
        ValueError: no picture at all, or another number of captions than of pictures.
    """
    if not images:
        raise ValueError("A mosaic needs at least one picture.")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(images)} pictures, but {len(captions)} captions.")
    height, width = size
    letters = _font_size(height, width)
    gap = letters // 2
    strip = round(1.5 * letters) if captions else 0
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    sheet = torch.full(
        (3, gap + rows * (strip + height + gap), gap + columns * (width + gap)), _PAPER, dtype=torch.uint8
    )
    corners = [
        (gap + index // columns * (strip + height + gap), gap + index % columns * (width + gap))
        for index in range(len(images))
    ]
    for image, (top, left) in zip(images, corners, strict=True):
        fitted = _fitted(image.cpu(), size)
        y = top + strip + (height - fitted.shape[1]) // 2
        x = left + (width - fitted.shape[2]) // 2
        sheet[:, y : y + fitted.shape[1], x : x + fitted.shape[2]] = fitted
    if captions is None:
        return sheet
    canvas = functional.to_pil_image(sheet)
    pen = ImageDraw.Draw(canvas)
    for caption, (top, left) in zip(captions, corners, strict=True):
        line = fit(caption, letters, width)
        pen.text((left, top + strip / 2), line, fill=_INK, font=font(letters), anchor="lm")
    return functional.pil_to_tensor(canvas)


def _fitted(image: UInt8[Tensor, "3 H W"], size: tuple[int, int]) -> UInt8[Tensor, "3 _ _"]:
    ratio = min(size[0] / image.shape[1], size[1] / image.shape[2])
    shape = [max(1, round(image.shape[1] * ratio)), max(1, round(image.shape[2] * ratio))]
    return functional.resize(image, shape, antialias=True)


def _line_width(image: UInt8[Tensor, "3 H W"]) -> int:
    return max(1, round(min(image.shape[1:]) / 300))


def _font_size(height: int, width: int) -> int:
    return max(11, round(min(height, width) / 42))


def _solid(image: UInt8[Tensor, "3 H W"], shown: Detections, names: Sequence[str]) -> UInt8[Tensor, "3 H W"]:
    if not len(shown):
        return image.clone()
    palette = class_colors(len(names))
    labels = shown.labels.tolist()
    colors = [palette[label] for label in labels]
    # Painted from the last to the first, so that the best score lies on top.
    boxed = draw_bounding_boxes(
        image, shown.boxes.cpu().flip(0), colors=list(reversed(colors)), width=_line_width(image)
    )
    texts = [f"{shorten(names[label])} {score:.2f}" for label, score in zip(labels, shown.scores.tolist(), strict=True)]
    return _lettered(boxed, shown.boxes.tolist(), texts, colors)


def _dashed(
    image: UInt8[Tensor, "3 H W"], boxes: Sequence[Sequence[float]], colors: Sequence[Color]
) -> UInt8[Tensor, "3 H W"]:
    canvas = functional.to_pil_image(image)
    pen = ImageDraw.Draw(canvas)
    thick = _line_width(image)
    dash, period = 7 * thick, 10 * thick
    for box, color in reversed(list(zip(boxes, colors, strict=True))):
        x1, y1, x2, y2 = (int(value) for value in box)
        inset = thick - 1
        # The gaps are dark or light, whichever the colour is not, so that the line is seen on any picture.
        pen.rectangle((x1, y1, x2, y2), outline=text_color(color), width=thick)
        for x in range(x1, x2 + 1, period):
            end = min(x + dash - 1, x2)
            pen.rectangle((x, y1, end, min(y1 + inset, y2)), fill=color)
            pen.rectangle((x, max(y2 - inset, y1), end, y2), fill=color)
        for y in range(y1, y2 + 1, period):
            end = min(y + dash - 1, y2)
            pen.rectangle((x1, y, min(x1 + inset, x2), end), fill=color)
            pen.rectangle((max(x2 - inset, x1), y, x2, end), fill=color)
    return functional.pil_to_tensor(canvas)


def _lettered(
    image: UInt8[Tensor, "3 H W"], boxes: Sequence[Sequence[float]], texts: Sequence[str], colors: Sequence[Color]
) -> UInt8[Tensor, "3 H W"]:
    """Labels on plates of their box's colour, the first on top; those of a crowd are smaller."""
    height, width = image.shape[1:]
    letters = _font_size(height, width)
    covered = sum(font(letters).getlength(text) for text in texts) * 1.25 * letters / (height * width)
    letters = max(_SMALLEST, int(letters / max(1.0, covered / _COVERED) ** 0.5))
    margin = max(2, letters // 6)
    sizes = [(font(letters).getlength(text) + 2 * margin, 1.25 * letters) for text in texts]
    anchors: list[Box] = [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes]
    canvas = functional.to_pil_image(image)
    pen = ImageDraw.Draw(canvas)
    plates = place(anchors, sizes, (height, width))
    for text, color, (x1, y1, x2, y2) in reversed(list(zip(texts, colors, plates, strict=True))):
        pen.rectangle((round(x1), round(y1), round(x2) - 1, round(y2) - 1), fill=color)
        pen.text((round(x1) + margin, (y1 + y2) / 2), text, fill=text_color(color), font=font(letters), anchor="lm")
    return functional.pil_to_tensor(canvas)
