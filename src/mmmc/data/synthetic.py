"""The embedded set: synthetic scenes in which the best place to name an object is not the best place to box it.

An object is a body with a two-coloured badge. The badge alone tells the class, and what is no object: bodies without
a badge or with a badge of one colour stand among the objects. In half of the objects the badge sits at the centre,
in the others towards an end or a corner. Shape, size, colour and texture of the body say nothing about the class.
Classes survive a horizontal flip and a change of light, so the usual augmentation leaves labels true.

Every scene is a pure function of (seed, split, index, size). Where things stand is decided by plain numpy geometry on
its own random stream; pixels come from another, so no drawing library has a say in boxes, labels or visibility.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from PIL import Image, ImageDraw, ImageFilter
from rich.console import Console
from rich.progress import track

from mmmc.errors import InputError, did_you_mean

CLASSES = ("red-white", "white-red", "blue-white", "white-blue", "yellow-black")
"""Class names: the colours of the badge's upper and lower half."""

SPLITS = ("train", "val")

VERSION = 1
"""Version of the generator: scenes of one version never change."""

_COLOURS = {
    "red": (214, 38, 42),
    "white": (244, 243, 236),
    "blue": (34, 74, 205),
    "yellow": (246, 206, 30),
    "black": (22, 22, 26),
}
_MIN_VISIBLE = 0.25  # of the object; a worse hidden one is placed elsewhere
_MIN_CUE_VISIBLE = 0.75  # of the badge: without it the class is a guess
_MIN_IN_PICTURE = 0.6  # of the object; the border may cut the rest, unless it is tiny
_MAX_IOU = 0.75  # of two boxes
_FINE = 4  # drawing at this many times the resolution gives smooth edges

_GRID = np.stack(np.meshgrid(*2 * [(np.arange(24) + 0.5) / 12 - 1]), -1).reshape(-1, 2)  # sample points in [-1, 1]²

Points2 = Float[np.ndarray, "K 2"]
Canvas = Float32[np.ndarray, "H W 3"]


@dataclass(frozen=True)
class Scene:
    """A picture and all that is known of its objects, from back to front.

    Attributes:
        image: 8-bit RGB.
        boxes: `x1 y1 x2 y2` in pixels: the whole object with its hidden parts, cut at the picture's border.
        labels: index into `CLASSES`.
        visible: share of the object's area inside the picture that nothing hides, to about 0.02.
        cue: x and y of the badge's centre in pixels.
        centred: whether the badge was put at the centre of the whole object.
    """

    image: UInt8[np.ndarray, "H W 3"]
    boxes: Float[np.ndarray, "M 4"]
    labels: Int[np.ndarray, "M"]
    visible: Float[np.ndarray, "M"]
    cue: Float[np.ndarray, "M 2"]
    centred: Bool[np.ndarray, "M"]


@dataclass(frozen=True)
class _Body:
    """A body with its badge; a decoy has no label.

    `outline`, `cue` and the sample points `area` (of the body) and `spot` (of the badge) are in the body's own frame
    [-1, 1]². The outline touches all four sides, so `box` is exact.
    """

    outline: Float[np.ndarray, "V 2"]
    area: Float[np.ndarray, "K 2"]
    spot: Float[np.ndarray, "Q 2"]
    width: float
    height: float
    label: int | None
    centred: bool
    cue: tuple[float, float]
    cue_radius: float
    depth: float
    x1: float = 0.0
    y1: float = 0.0

    @property
    def side(self) -> float:
        return math.sqrt(self.width * self.height)

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.x1, self.y1, self.x1 + self.width, self.y1 + self.height

    def pixels(self, unit: Points2) -> Points2:
        """From the body's own frame to the picture."""
        half = np.array([self.width, self.height]) / 2
        return unit * half + np.array([self.x1, self.y1]) + half

    @property
    def cue_xy(self) -> Float[np.ndarray, "2"]:
        return self.pixels(np.array([self.cue]))[0]

    def covers(self, xy: Points2) -> Bool[np.ndarray, "K"]:
        """Which points of the picture lie on the body or its badge."""
        x1, y1, x2, y2 = self.box
        result: np.ndarray = np.all((xy > [x1, y1]) & (xy < [x2, y2]), axis=1)
        if result.any():
            near = xy[result]
            on_badge = ((near - self.cue_xy) ** 2).sum(1) < self.cue_radius**2
            result[result] = _inside(self.pixels(self.outline), near) | on_badge
        return result


@dataclass(frozen=True)
class _Placed:
    """A body in its place: which sample points of its area in the picture and of its badge are in sight."""

    body: _Body
    area: Float[np.ndarray, "K 2"]
    spot: Float[np.ndarray, "Q 2"]
    area_seen: Bool[np.ndarray, "K"]
    spot_seen: Bool[np.ndarray, "Q"]

    def behind(self, other: _Body) -> _Placed:
        """The same body once `other` stands in front of it."""
        return replace(
            self,
            area_seen=self.area_seen & ~other.covers(self.area),
            spot_seen=self.spot_seen & ~other.covers(self.spot),
        )

    @property
    def visible(self) -> float:
        return float(self.area_seen.mean())

    @property
    def feasible(self) -> bool:
        if self.body.label is None:
            return True
        return self.visible >= _MIN_VISIBLE and float(self.spot_seen.mean()) >= _MIN_CUE_VISIBLE


def scene(seed: int, split: str, index: int, size: tuple[int, int] = (256, 256)) -> Scene:
    """The scene with this number: always the same one, whatever was drawn before.

    Raises:
        InputError: an unknown split, a negative number, or a picture side under 64 pixels.
    """
    if split not in SPLITS:
        raise InputError(f"split is {split!r}.{did_you_mean(split, SPLITS)}")
    for name, value in (("seed", seed), ("index", index)):
        if value < 0:
            raise InputError(f"{name} is {value}; allowed: 0 or more.")
    if min(size) < 64:
        raise InputError(f"size is {size}; allowed: height and width of at least 64 pixels.")
    streams = np.random.SeedSequence((seed, SPLITS.index(split), index)).spawn(2)
    layout, paint = (np.random.Generator(np.random.PCG64(stream)) for stream in streams)
    placed = _arrange(layout, size)
    image = _draw([item.body for item in placed], size, paint)
    objects = [item for item in placed if item.body.label is not None]
    height, width = size
    return Scene(
        image=image,
        boxes=np.array([item.body.box for item in objects]).clip(0, [width, height, width, height]),
        labels=np.array([item.body.label for item in objects]),
        visible=np.array([item.visible for item in objects]).round(3),
        cue=np.array([item.body.cue_xy for item in objects]).round(3),
        centred=np.array([item.body.centred for item in objects]),
    )


# --- where things stand ---------------------------------------------------------------------------------------------


def _inside(polygon: Float[np.ndarray, "V 2"], xy: Points2) -> Bool[np.ndarray, "K"]:
    """Even-odd rule, without a division: a shared edge belongs to one side only."""
    start, end = polygon[:, None], np.roll(polygon, -1, axis=0)[:, None]
    up = end[..., 1] > start[..., 1]
    spans = (start[..., 1] > xy[:, 1]) != (end[..., 1] > xy[:, 1])
    (dx, dy), (px, py) = np.moveaxis(end - start, -1, 0), np.moveaxis(xy - start, -1, 0)
    return (spans & ((px * dy < py * dx) == up)).sum(0) % 2 == 1


def _polar(angles: np.ndarray, radii: np.ndarray | float) -> Points2:
    """Points at these angles and distances from the origin."""
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], 1)


def _outline(rng: np.random.Generator) -> Points2:
    """A random shape around the origin, stretched to touch all four sides of [-1, 1]²."""
    kind, tilt = int(rng.integers(5)), rng.uniform(0, 2 * math.pi)
    turn = np.arange(40) * (2 * math.pi / 40)
    if kind == 0:  # ellipse
        shape = _polar(turn, 1.0) @ np.array([[1, rng.uniform(-0.7, 0.7)], [0, 1]])
    elif kind == 1:  # triangle to hexagon
        corners = int(rng.integers(3, 7))
        shape = _polar(tilt + np.arange(corners) * (2 * math.pi / corners), 1.0)
    elif kind == 2:  # star
        corners = 2 * int(rng.integers(4, 7))
        radii = np.resize([1.0, rng.uniform(0.5, 0.75)], corners)
        shape = _polar(tilt + np.arange(corners) * (2 * math.pi / corners), radii)
    elif kind == 3:  # peanut
        shape = _polar(turn, 1.0 - rng.uniform(0.4, 0.6) * np.sin(turn + tilt) ** 2)
    else:  # blob
        waves = [rng.uniform(-0.17, 0.17) * np.cos(k * turn + rng.uniform(0, 2 * math.pi)) for k in (2, 3, 4)]
        shape = _polar(turn, 1.0 + sum(waves))
    low, high = shape.min(0), shape.max(0)
    return (2 * shape - low - high) / (high - low)


def _eccentric(
    outline: Points2, margin: Float[np.ndarray, "2"], rng: np.random.Generator
) -> tuple[float, float] | None:
    """A place for the badge towards an end of the outline, kept in the box by `margin`; None if there is none."""
    rays = _polar(np.arange(24) * (2 * math.pi / 24), 1.0)
    spots = (rays[:, None] * np.linspace(0.4, 1.3, 19)[:, None]).reshape(-1, 2).clip(-margin, margin)
    spots = spots[_inside(outline * 0.92, spots) & (np.abs(spots).max(1) >= 0.42)]
    if not len(spots):
        return None
    u, v = max(spots[rng.integers(len(spots), size=2)].tolist(), key=lambda spot: max(abs(spot[0]), abs(spot[1])))
    return u, v


def _body(rng: np.random.Generator, side: float, aspect: float, label: int | None, centred: bool, badge: bool) -> _Body:
    """A body of about this size (root of the box's area, pixels) and aspect (width to height), in no place yet."""
    # Sizes and places are whole eighths of a pixel, so that all box arithmetic is exact.
    width, height = (math.ceil(8 * side * factor) / 8 for factor in (math.sqrt(aspect), 1 / math.sqrt(aspect)))
    # Larger objects have relatively smaller badges: half of an 8 px object, a quarter of a 200 px one.
    radius = min(0.39 * side**0.785, 0.36 * min(width, height))
    margin = 1 - 2 * 1.12 * radius / np.array([width, height])  # a tilted square reaches beyond its radius
    # From 8 pixels up the longer side leaves room for an end, so some outline always does.
    while True:
        outline = _outline(rng)
        middle = (rng.uniform(-0.08, 0.08), rng.uniform(-0.08, 0.08))
        cue = middle if centred else _eccentric(outline, margin, rng)
        if cue is not None:
            break
    body = _Body(
        outline=outline,
        area=_GRID,
        spot=np.array(cue) + _GRID[::5] * radius / (np.array([width, height]) / 2),
        width=width,
        height=height,
        label=label,
        centred=centred,
        cue=cue,
        cue_radius=radius if badge else 0.0,
        depth=math.log(side) + rng.uniform(-0.6, 0.6),
    )
    return replace(body, area=_GRID[body.covers(body.pixels(_GRID))])


def _place(body: _Body, x: float, y: float, size: tuple[int, int], others: list[_Placed]) -> list[_Placed] | None:
    """All bodies with this one centred there; None if too much of it or of another object would be out of sight."""
    body = replace(body, x1=round(8 * x - 4 * body.width) / 8, y1=round(8 * y - 4 * body.height) / 8)
    area, spot = body.pixels(body.area), body.pixels(body.spot)
    area_in, spot_in = (((xy >= 0) & (xy < [size[1], size[0]])).all(1) for xy in (area, spot))
    if area_in.mean() < (_MIN_IN_PICTURE if body.side > 16 else 1) or not spot_in.all():
        return None
    if any(_iou(body.box, other.body.box) > _MAX_IOU for other in others):
        return None
    new = _Placed(body, area[area_in], spot, np.ones(int(area_in.sum()), bool), np.ones(len(spot), bool))
    for other in others:
        if other.body.depth < body.depth:
            new = new.behind(other.body)
    result = [*(other if other.body.depth < body.depth else other.behind(body) for other in others), new]
    return result if all(item.feasible for item in result) else None


def _iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def _arrange(rng: np.random.Generator, size: tuple[int, int]) -> list[_Placed]:
    """Objects and decoys in their places, from back to front."""
    height, width = size
    largest = 0.8 * min(size)
    objects, decoys, first = int(rng.integers(4, 9)), int(rng.integers(0, 4)), int(rng.integers(2))
    placed: list[_Placed] = []
    # What finds no room is drawn anew, the badge in the same kind of place: else crowds would lose centred badges.
    for _ in range(4 * (objects + decoys)):
        if len(placed) == objects + decoys:
            break
        is_object = len(placed) < objects
        label = int(rng.integers(len(CLASSES))) if is_object else None
        side = math.exp(rng.uniform(math.log(8 if is_object else 14), math.log(largest)))
        aspect = math.exp(rng.uniform(-1, 1) * math.log(2.5))
        partner = placed[int(rng.integers(len(placed)))].body if placed and is_object and rng.random() < 0.3 else None
        if partner:  # of like size and shape, so that the two boxes overlap by much
            side = min(max(partner.side * rng.uniform(0.75, 1.33), 8.0), largest)
            aspect = partner.width / partner.height * rng.uniform(0.75, 1.33)
        centred = (first + len(placed)) % 2 == 0
        body = _body(rng, side, aspect, label, centred, badge=is_object or rng.random() < 0.5)
        for _ in range(60):
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            if partner:
                x = partner.x1 + partner.width * rng.random()
                y = partner.y1 + partner.height * rng.random()
                body = replace(body, depth=partner.depth + rng.uniform(-0.1, 0.1))
            grown = _place(body, x, y, size, placed)
            if grown and (not partner or _iou(grown[-1].body.box, partner.box) > 0.33):
                placed = grown
                break
    return sorted(placed, key=lambda item: -item.body.depth)


# --- how it looks ---------------------------------------------------------------------------------------------------


def _noise(rng: np.random.Generator, size: tuple[int, int], cell: float) -> Float32[np.ndarray, "H W"]:
    """Smooth noise in about [-1, 1] whose features are `cell` pixels wide."""
    height, width = size
    coarse = rng.uniform(-1, 1, (max(2, round(height / cell)), max(2, round(width / cell)))).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def _texture(rng: np.random.Generator, size: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
    """Stripes, checks or noise in [-1, 1] over the whole picture."""
    kind, angle = int(rng.integers(3)), rng.uniform(0, math.pi)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    wave = 2 * math.pi / rng.uniform(4, 16)
    if kind == 0:
        return np.sin(along * wave).astype(np.float32)
    if kind == 1:
        return (np.sin(along * wave) * np.sin(across * wave)).astype(np.float32)
    return _noise(rng, size, rng.uniform(2, 12))


def _muted(rng: np.random.Generator) -> Float32[np.ndarray, "3"]:
    """A colour of any hue that no badge has: bodies and background."""
    hue, strength, value = rng.uniform(0, 2 * math.pi), rng.uniform(0.05, 0.32), rng.uniform(75, 205)
    wheel = np.cos(hue + np.array([0, 2, 4]) * math.pi / 3)
    return (value * (1 + strength * wheel)).astype(np.float32)


def _vivid(rng: np.random.Generator, name: str) -> Float32[np.ndarray, "3"]:
    """A badge's colour, never twice quite the same."""
    return (np.array(_COLOURS[name]) * rng.uniform(0.85, 1.05) + rng.uniform(-14, 14, 3)).astype(np.float32)


def _fill(
    canvas: Canvas, polygon: Float[np.ndarray, "V 2"], colour: np.ndarray, alpha: float = 1.0, blur: float = 0.0
) -> None:
    """Paint a polygon with smooth edges into `canvas`; `colour` is one colour or a picture of them."""
    height, width = canvas.shape[:2]
    reach = 2 * blur + 1
    x1, y1 = np.maximum(np.floor(polygon.min(0) - reach), 0).astype(int).tolist()
    x2, y2 = np.minimum(np.ceil(polygon.max(0) + reach), [width, height]).astype(int).tolist()
    if x1 >= x2 or y1 >= y2:
        return
    fine = Image.new("L", ((x2 - x1) * _FINE, (y2 - y1) * _FINE))
    corners = (polygon - [x1, y1]) * _FINE
    ImageDraw.Draw(fine).polygon([(x, y) for x, y in corners.tolist()], fill=255)
    cover = fine.reduce(_FINE)
    if blur:
        cover = cover.filter(ImageFilter.GaussianBlur(blur))
    weight = np.asarray(cover, np.float32)[..., None] * np.float32(alpha / 255)
    window = canvas[y1:y2, x1:x2]
    paint = colour[y1:y2, x1:x2] if colour.ndim == 3 else colour
    window += weight * (paint - window)


def _draw(bodies: list[_Body], size: tuple[int, int], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
    """Background, clutter, bodies from back to front, light, noise."""
    canvas = _background(rng, size)
    light = rng.uniform(0, 2 * math.pi)
    for body in bodies:
        _draw_body(canvas, body, light, rng)
    height, width = size
    y, x = np.mgrid[:height, :width].astype(np.float32)
    slope = (x / width - 0.5) * math.cos(light) + (y / height - 0.5) * math.sin(light)
    gain = rng.uniform(0.68, 1.12) * (1 - rng.uniform(0, 0.45) * slope)
    canvas *= gain[..., None] * rng.uniform(0.92, 1.08, 3)
    canvas += rng.standard_normal(canvas.shape, dtype=np.float32) * rng.uniform(2, 8)
    # 64 levels a channel: the noise hides the steps, and files are a third smaller.
    return ((canvas / 4).round().clip(0, 63) * 4).astype(np.uint8)


def _background(rng: np.random.Generator, size: tuple[int, int]) -> Canvas:
    """Two muted colours mixed by noise of several widths, with sticks, patches and spots of badge colours."""
    height, width = size
    mix = sum(_noise(rng, size, cell) * weight for cell, weight in ((96, 0.5), (32, 0.35), (10, 0.3), (3, 0.2)))
    mix = np.clip(0.5 + mix / 2 + _texture(rng, size) * rng.uniform(0, 0.2), 0, 1)[..., None]
    canvas = np.ascontiguousarray(_muted(rng) * (1 - mix) + _muted(rng) * mix, dtype=np.float32)
    for _ in range(int(rng.integers(20, 60))):
        centre = rng.uniform(0, 1, 2) * [width, height]
        half = math.exp(rng.uniform(math.log(2), math.log(30)))
        aspect, angle = math.exp(rng.uniform(-1.8, 1.8)), rng.uniform(0, math.pi)
        turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
        shape = _outline(rng) * [half * math.sqrt(aspect), half / math.sqrt(aspect)] @ turn + centre
        _fill(canvas, shape, _muted(rng), alpha=rng.uniform(0.3, 1.0))
    for _ in range(int(rng.integers(0, 9))):
        spot = _outline(rng) * rng.uniform(1, 6, 2) + rng.uniform(0, 1, 2) * [width, height]
        _fill(canvas, spot, _vivid(rng, list(_COLOURS)[int(rng.integers(len(_COLOURS)))]))
    return canvas


def _draw_body(canvas: Canvas, body: _Body, light: float, rng: np.random.Generator) -> None:
    """Shadow, rim, textured body, badge."""
    reach = 0.25 * body.side + 2  # as far as the shadow
    left, top = math.floor(max(0, body.x1 - reach)), math.floor(max(0, body.y1 - reach))
    right, bottom = math.ceil(body.x1 + body.width + reach), math.ceil(body.y1 + body.height + reach)
    canvas, body = canvas[top:bottom, left:right], replace(body, x1=body.x1 - left, y1=body.y1 - top)
    outline, half = body.pixels(body.outline), np.array([body.width, body.height]) / 2
    away = np.array([math.cos(light), math.sin(light)])
    _fill(canvas, outline + away * body.side * 0.05, np.zeros(3), 0.45, blur=0.04 * body.side)
    base, other = _muted(rng), _muted(rng)
    _fill(canvas, outline, base * rng.uniform(0.3, 0.6))
    size = canvas.shape[:2]
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    shade = ((x - body.x1 - half[0]) * away[0] + (y - body.y1 - half[1]) * away[1]) / (2 * half.max())
    mix = (0.5 + 0.5 * _texture(rng, size))[..., None] * rng.uniform(0, 0.7)
    skin = (base * (1 - mix) + other * mix) * (1 - 0.3 * shade)[..., None]
    rim = min(0.6 + 0.012 * body.side, 0.12 * float(half.min()))
    _fill(canvas, body.pixels(body.outline * (1 - rim / half)), skin)
    if body.cue_radius:
        _draw_badge(canvas, body, rng)


def _draw_badge(canvas: Canvas, body: _Body, rng: np.random.Generator) -> None:
    """A disc or a square in two colours; in one colour on a decoy."""
    names = CLASSES[int(rng.integers(len(CLASSES)))] if body.label is None else CLASSES[body.label]
    upper, lower = (_vivid(rng, name) for name in names.split("-"))
    if body.label is None:
        upper = lower
    tilt = rng.uniform(-0.3, 0.3)
    turn = np.arange(24) * (2 * math.pi / 24)
    squareness = 1.0 if rng.random() < 0.5 else 0.88 / np.maximum(np.abs(np.cos(turn)), np.abs(np.sin(turn)))
    shape = _polar(turn + tilt, squareness) * body.cue_radius
    rim = min(1.0, 0.08 * body.cue_radius)
    _fill(canvas, shape + body.cue_xy, upper * 0.25)
    inner = shape * (1 - rim / body.cue_radius) + body.cue_xy
    _fill(canvas, inner, lower)
    _fill(canvas, inner[[*range(12, 24), 0]], upper)  # y grows downwards: the second half turn is the upper half


# --- on disk --------------------------------------------------------------------------------------------------------


def make_synthetic(
    folder: Path, *, train: int = 400, val: int = 100, size: tuple[int, int] = (256, 256), seed: int = 0
) -> Path:
    """Write the set in COCO format: `annotations/instances_{train,val}.json` and `images/*.png`.

    Each annotation carries, beyond COCO's keys, `visible` (share that nothing hides), `cue` (x and y of the badge in
    pixels) and `centred`. `area` is the box's. A folder that holds this very set already is left as it is.

    Args:
        folder: made with its parents; nothing appears there before the set is complete.
        train, val: pictures of each split.
        size: height and width in pixels.
        seed: another seed is another set.

    Returns:
        The folder.

    Raises:
        InputError: the folder holds something else, or an option is out of range.
    """
    counts = {"train": train, "val": val}
    for name, value in counts.items():
        if value < 1:
            raise InputError(f"{name} is {value}; allowed: 1 picture or more.")
    made_from = {"generator": "mmmc synthetic", "version": VERSION, "seed": seed, "size": list(size), **counts}
    folder = Path(folder)
    if _holds(folder, made_from):
        return folder
    try:
        occupied = folder.exists() and any(folder.iterdir())
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: {error.strerror}. Allowed: a new or an empty folder.") from error
    if occupied:
        raise InputError(f"{folder}: holds something else. Allowed: a new or an empty folder, or this very set.")
    with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
        fresh = Path(beside, "set")
        (fresh / "images").mkdir(parents=True)
        (fresh / "annotations").mkdir()
        for split, count in counts.items():
            content = {"info": made_from, **_write_pictures(fresh / "images", split, count, size, seed)}
            (fresh / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
        os.replace(fresh, folder)
    return folder


def _holds(folder: Path, made_from: dict[str, Any]) -> bool:
    """Whether the folder holds the set that these options make, complete."""
    wanted = {f"{split}_{index:05d}.png" for split in SPLITS for index in range(made_from[split])}
    try:
        infos = [
            json.loads((folder / "annotations" / f"instances_{split}.json").read_text())["info"] for split in SPLITS
        ]
        found = {path.name for path in (folder / "images").iterdir()}
    except (OSError, ValueError, KeyError, TypeError):
        return False
    return all(info == made_from for info in infos) and found == wanted


def _write_pictures(images: Path, split: str, count: int, size: tuple[int, int], seed: int) -> dict[str, Any]:
    """Draw a split's pictures into `images`; return COCO's three lists."""
    pictures: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in track(range(count), f"Drawing {split}", console=Console(stderr=True), transient=True):
        drawn = scene(seed, split, index, size)
        name = f"{split}_{index:05d}.png"
        # On noise, run lengths compress as well as the full search does, eight times as fast.
        Image.fromarray(drawn.image).save(images / name, compress_type=zlib.Z_RLE)
        pictures.append({"id": index + 1, "file_name": name, "height": size[0], "width": size[1]})
        for k, (x1, y1, x2, y2) in enumerate(drawn.boxes.tolist()):
            annotation = {
                "id": len(annotations) + 1,
                "image_id": index + 1,
                "category_id": int(drawn.labels[k]) + 1,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": (x2 - x1) * (y2 - y1),
                "iscrowd": 0,
                "visible": float(drawn.visible[k]),
                "cue": drawn.cue[k].tolist(),
                "centred": bool(drawn.centred[k]),
            }
            annotations.append(annotation)
    categories = [{"id": label + 1, "name": name} for label, name in enumerate(CLASSES)]
    return {"images": pictures, "annotations": annotations, "categories": categories}
