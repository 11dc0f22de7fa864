"""Colours that people with a colour vision deficiency can tell apart."""

from __future__ import annotations

Color = tuple[int, int, int]
"""Red, green and blue, 0..255."""

WHITE: Color = (255, 255, 255)
BLACK: Color = (0, 0, 0)
GREY: Color = (150, 150, 150)

_YELLOW: Color = (240, 228, 66)
# Okabe and Ito's palette without its black, which dark pictures swallow; neighbours differ most.
_HUES: tuple[Color, ...] = (
    (213, 94, 0),
    (86, 180, 233),
    (0, 158, 115),
    _YELLOW,
    (204, 121, 167),
    (0, 114, 178),
    (230, 159, 0),
)
# The hues as they are, then lighter, then darker: lightness is seen with every kind of colour vision.
_TINTS: tuple[tuple[Color, float], ...] = ((WHITE, 0.0), (WHITE, 0.55), (BLACK, 0.45))


def class_colors(n: int) -> list[Color]:
    """Colours of the classes `0..n-1`: class k has the same colour whatever `n` is.

    The first seven can be told apart with any kind of colour vision. From the 22nd on colours repeat, since
    the eye tells no more apart: there the written name decides.
    """
    return [_color(index) for index in range(n)]


def _color(index: int) -> Color:
    toward, share = _TINTS[index // len(_HUES) % len(_TINTS)]
    red, green, blue = (
        round(own + (other - own) * share) for own, other in zip(_HUES[index % len(_HUES)], toward, strict=True)
    )
    return red, green, blue


def line_colors(n: int) -> list[Color]:
    """Colours of lines on white, where the palette's yellow would be lost; six, then again."""
    seen = [color for color in _HUES if color != _YELLOW]
    return [seen[index % len(seen)] for index in range(n)]


def text_color(background: Color) -> Color:
    """Black or white, whichever stands out more from the background."""
    red, green, blue = ((value / 255) ** 2.2 for value in background)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    # WCAG's contrast ratios with black, (L + 0.05) / 0.05, and with white, 1.05 / (L + 0.05), meet at this luminance.
    return BLACK if luminance > 0.179 else WHITE
