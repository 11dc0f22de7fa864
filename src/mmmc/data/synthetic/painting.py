"""How it looks: bodies, badges and background in pixels, on a random stream of their own."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Float32, UInt8
from PIL import Image, ImageDraw, ImageFilter

from mmmc.data.synthetic.layout import CLASSES, Body, outline_of, polar

_COLOURS = {
    "red": (214, 38, 42),
    "white": (244, 243, 236),
    "blue": (34, 74, 205),
    "yellow": (246, 206, 30),
    "black": (22, 22, 26),
}
_FINE = 4  # drawing at this many times the resolution gives smooth edges


Canvas = Float32[np.ndarray, "H W 3"]


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


def fill(
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


def draw(bodies: list[Body], size: tuple[int, int], rng: np.random.Generator) -> UInt8[np.ndarray, "H W 3"]:
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
        shape = outline_of(rng) * [half * math.sqrt(aspect), half / math.sqrt(aspect)] @ turn + centre
        fill(canvas, shape, _muted(rng), alpha=rng.uniform(0.3, 1.0))
    for _ in range(int(rng.integers(0, 9))):
        spot = outline_of(rng) * rng.uniform(1, 6, 2) + rng.uniform(0, 1, 2) * [width, height]
        fill(canvas, spot, _vivid(rng, list(_COLOURS)[int(rng.integers(len(_COLOURS)))]))
    return canvas


def _draw_body(canvas: Canvas, body: Body, light: float, rng: np.random.Generator) -> None:
    """Shadow, rim, textured body, badge."""
    reach = 0.25 * body.side + 2  # as far as the shadow
    left, top = math.floor(max(0, body.x1 - reach)), math.floor(max(0, body.y1 - reach))
    right, bottom = math.ceil(body.x1 + body.width + reach), math.ceil(body.y1 + body.height + reach)
    canvas, body = canvas[top:bottom, left:right], replace(body, x1=body.x1 - left, y1=body.y1 - top)
    outline, half = body.pixels(body.outline), np.array([body.width, body.height]) / 2
    away = np.array([math.cos(light), math.sin(light)])
    fill(canvas, outline + away * body.side * 0.05, np.zeros(3), 0.45, blur=0.04 * body.side)
    base, other = _muted(rng), _muted(rng)
    fill(canvas, outline, base * rng.uniform(0.3, 0.6))
    size = canvas.shape[:2]
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    shade = ((x - body.x1 - half[0]) * away[0] + (y - body.y1 - half[1]) * away[1]) / (2 * half.max())
    mix = (0.5 + 0.5 * _texture(rng, size))[..., None] * rng.uniform(0, 0.7)
    skin = (base * (1 - mix) + other * mix) * (1 - 0.3 * shade)[..., None]
    rim = min(0.6 + 0.012 * body.side, 0.12 * float(half.min()))
    fill(canvas, body.pixels(body.outline * (1 - rim / half)), skin)
    if body.cue_radius:
        _draw_badge(canvas, body, rng)


def _draw_badge(canvas: Canvas, body: Body, rng: np.random.Generator) -> None:
    """A disc or a square in two colours; in one colour on a decoy."""
    names = CLASSES[int(rng.integers(len(CLASSES)))] if body.label is None else CLASSES[body.label]
    upper, lower = (_vivid(rng, name) for name in names.split("-"))
    if body.label is None:
        upper = lower
    tilt = rng.uniform(-0.3, 0.3)
    turn = np.arange(24) * (2 * math.pi / 24)
    squareness = 1.0 if rng.random() < 0.5 else 0.88 / np.maximum(np.abs(np.cos(turn)), np.abs(np.sin(turn)))
    shape = polar(turn + tilt, squareness) * body.cue_radius
    rim = min(1.0, 0.08 * body.cue_radius)
    fill(canvas, shape + body.cue_xy, upper * 0.25)
    inner = shape * (1 - rim / body.cue_radius) + body.cue_xy
    fill(canvas, inner, lower)
    fill(canvas, inner[[*range(12, 24), 0]], upper)  # y grows downwards: the second half turn is the upper half
