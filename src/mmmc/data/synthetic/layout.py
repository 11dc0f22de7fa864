"""Where things stand: bodies with badges, their order in depth, and what of each is in sight."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

CLASSES = ("red-white", "white-red", "blue-white", "white-blue", "yellow-black")
"""Class names: the colours of the badge's upper and lower half."""


_MIN_VISIBLE = 0.25  # of the object; a worse hidden one is placed elsewhere
_MIN_CUE_VISIBLE = 0.75  # of the badge: without it the class is a guess
_MIN_IN_PICTURE = 0.6  # of the object; the border may cut the rest, unless it is tiny
_MAX_IOU = 0.75  # of two boxes

_GRID = np.stack(np.meshgrid(*2 * [(np.arange(24) + 0.5) / 12 - 1]), -1).reshape(-1, 2)  # sample points in [-1, 1]²

Points2 = Float[np.ndarray, "K 2"]


@dataclass(frozen=True)
class Body:
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

    def covers(self, xy: Points2) -> Bool[np.ndarray, " K"]:
        """Which points of the picture lie on the body or its badge."""
        x1, y1, x2, y2 = self.box
        result: np.ndarray = np.all((xy > [x1, y1]) & (xy < [x2, y2]), axis=1)
        if result.any():
            near = xy[result]
            on_badge = ((near - self.cue_xy) ** 2).sum(1) < self.cue_radius**2
            result[result] = inside(self.pixels(self.outline), near) | on_badge
        return result


@dataclass(frozen=True)
class Placed:
    """A body in its place: which sample points of its area in the picture and of its badge are in sight."""

    body: Body
    area: Float[np.ndarray, "K 2"]
    spot: Float[np.ndarray, "Q 2"]
    area_seen: Bool[np.ndarray, " K"]
    spot_seen: Bool[np.ndarray, " Q"]

    def behind(self, other: Body) -> Placed:
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


def inside(polygon: Float[np.ndarray, "V 2"], xy: Points2) -> Bool[np.ndarray, " K"]:
    """Even-odd rule, without a division: a shared edge belongs to one side only."""
    start, end = polygon[:, None], np.roll(polygon, -1, axis=0)[:, None]
    up = end[..., 1] > start[..., 1]
    spans = (start[..., 1] > xy[:, 1]) != (end[..., 1] > xy[:, 1])
    (dx, dy), (px, py) = np.moveaxis(end - start, -1, 0), np.moveaxis(xy - start, -1, 0)
    return (spans & ((px * dy < py * dx) == up)).sum(0) % 2 == 1


def polar(angles: np.ndarray, radii: np.ndarray | float) -> Points2:
    """Points at these angles and distances from the origin."""
    return np.stack([np.cos(angles) * radii, np.sin(angles) * radii], 1)


def outline_of(rng: np.random.Generator) -> Points2:
    """A random shape around the origin, stretched to touch all four sides of [-1, 1]²."""
    kind, tilt = int(rng.integers(5)), rng.uniform(0, 2 * math.pi)
    turn = np.arange(40) * (2 * math.pi / 40)
    if kind == 0:  # ellipse
        shape = polar(turn, 1.0) @ np.array([[1, rng.uniform(-0.7, 0.7)], [0, 1]])
    elif kind == 1:  # triangle to hexagon
        corners = int(rng.integers(3, 7))
        shape = polar(tilt + np.arange(corners) * (2 * math.pi / corners), 1.0)
    elif kind == 2:  # star
        corners = 2 * int(rng.integers(4, 7))
        radii = np.resize([1.0, rng.uniform(0.5, 0.75)], corners)
        shape = polar(tilt + np.arange(corners) * (2 * math.pi / corners), radii)
    elif kind == 3:  # peanut
        shape = polar(turn, 1.0 - rng.uniform(0.4, 0.6) * np.sin(turn + tilt) ** 2)
    else:  # blob
        waves = [rng.uniform(-0.17, 0.17) * np.cos(k * turn + rng.uniform(0, 2 * math.pi)) for k in (2, 3, 4)]
        shape = polar(turn, 1.0 + sum(waves))
    low, high = shape.min(0), shape.max(0)
    return (2 * shape - low - high) / (high - low)


def _eccentric(
    outline: Points2, margin: Float[np.ndarray, "2"], rng: np.random.Generator
) -> tuple[float, float] | None:
    """A place for the badge towards an end of the outline, kept in the box by `margin`; None if there is none."""
    rays = polar(np.arange(24) * (2 * math.pi / 24), 1.0)
    spots = (rays[:, None] * np.linspace(0.4, 1.3, 19)[:, None]).reshape(-1, 2).clip(-margin, margin)
    spots = spots[inside(outline * 0.92, spots) & (np.abs(spots).max(1) >= 0.42)]
    if not len(spots):
        return None
    u, v = max(spots[rng.integers(len(spots), size=2)].tolist(), key=lambda spot: max(abs(spot[0]), abs(spot[1])))
    return u, v


def make_body(
    rng: np.random.Generator, side: float, aspect: float, label: int | None, centred: bool, badge: bool
) -> Body:
    """A body of about this size (root of the box's area, pixels) and aspect (width to height), in no place yet."""
    # Sizes and places are whole eighths of a pixel, so that all box arithmetic is exact.
    width, height = (math.ceil(8 * side * factor) / 8 for factor in (math.sqrt(aspect), 1 / math.sqrt(aspect)))
    # Larger objects have relatively smaller badges: half of an 8 px object, a quarter of a 200 px one.
    radius = min(0.39 * side**0.785, 0.36 * min(width, height))
    margin = 1 - 2 * 1.12 * radius / np.array([width, height])  # a tilted square reaches beyond its radius
    # From 8 pixels up the longer side leaves room for an end, so some outline always does.
    while True:
        outline = outline_of(rng)
        middle = (rng.uniform(-0.08, 0.08), rng.uniform(-0.08, 0.08))
        cue = middle if centred else _eccentric(outline, margin, rng)
        if cue is not None:
            break
    body = Body(
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


def place(body: Body, x: float, y: float, size: tuple[int, int], others: list[Placed]) -> list[Placed] | None:
    """All bodies with this one centred there; None if too much of it or of another object would be out of sight."""
    body = replace(body, x1=round(8 * x - 4 * body.width) / 8, y1=round(8 * y - 4 * body.height) / 8)
    area, spot = body.pixels(body.area), body.pixels(body.spot)
    area_in, spot_in = (((xy >= 0) & (xy < [size[1], size[0]])).all(1) for xy in (area, spot))
    if area_in.mean() < (_MIN_IN_PICTURE if body.side > 16 else 1) or not spot_in.all():
        return None
    if any(_iou(body.box, other.body.box) > _MAX_IOU for other in others):
        return None
    new = Placed(body, area[area_in], spot, np.ones(int(area_in.sum()), bool), np.ones(len(spot), bool))
    for other in others:
        if other.body.depth < body.depth:
            new = new.behind(other.body)
    result = [*(other if other.body.depth < body.depth else other.behind(body) for other in others), new]
    return result if all(item.feasible for item in result) else None


def _iou(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> float:
    shared = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def arrange(rng: np.random.Generator, size: tuple[int, int]) -> list[Placed]:
    """Objects and decoys in their places, from back to front."""
    height, width = size
    largest = 0.8 * min(size)
    objects, decoys, first = int(rng.integers(4, 9)), int(rng.integers(0, 4)), int(rng.integers(2))
    placed: list[Placed] = []
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
        body = make_body(rng, side, aspect, label, centred, badge=is_object or rng.random() < 0.5)
        for _ in range(60):
            x, y = rng.uniform(0, width), rng.uniform(0, height)
            if partner:
                x = partner.x1 + partner.width * rng.random()
                y = partner.y1 + partner.height * rng.random()
                body = replace(body, depth=partner.depth + rng.uniform(-0.1, 0.1))
            grown = place(body, x, y, size, placed)
            if grown and (not partner or _iou(grown[-1].body.box, partner.box) > 0.33):
                placed = grown
                break
    return sorted(placed, key=lambda item: -item.body.depth)
