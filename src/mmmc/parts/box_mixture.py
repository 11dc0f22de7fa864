"""Mixtures of Gaussians over a box: a quality of 0 to 1 at every position, and positions drawn where it is high.

Positions in a box are normalised: -1 and 1 are its sides, 0 its middle. A mixture is a tensor of `K 5`: for each
component the logit of its share, its mean and its deviation, both `x y`. One more share, of logit 0, is that of no
quality at all, so that the shares of the components sum to less than 1 and a position's value,
`Σ share · exp(-((x - mean) / deviation)² / 2)`, is a probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

COMPONENTS = 2
"""Gaussians of a mixture (Ma et al. 2021)."""

DEVIATIONS = (0.1, 2.0)
"""Least and largest deviation; a side of the box is 2 long."""

PLASTIC = 1.32471795724474602596
"""Root of x³ = x + 1: multiples of 1/x and 1/x² fill a square more evenly than random numbers (Roberts 2018)."""

STEPS = 1 << 16
"""Shifts of the lattice are multiples of its inverse: exact in float32, and no number is rounded up to 1."""


def start_mixture(shape: Sequence[int], deviation: float, like: Tensor) -> Float[Tensor, "*shape K 5"]:
    """Equal shares of the components and of nothing, all Gaussians in the middle of the box."""
    mixture = torch.zeros(*shape, COMPONENTS, 5, device=like.device, dtype=like.dtype)
    mixture[..., 3:] = deviation
    return mixture


def normalised(
    at: Float[Tensor, "*#shape"], low: Float[Tensor, "*#shape"], high: Float[Tensor, "*#shape"]
) -> Float[Tensor, "..."]:
    """Coordinates in pixels as coordinates in boxes with these sides; one without extent counts as 2 pixels long."""
    half = (high - low) / 2
    return (at - (low + high) / 2) / half.where(half > 0, 1.0)


def pixels(at: Float[Tensor, "*shape 2"], boxes: Float[Tensor, "*#shape 4"]) -> Float[Tensor, "*shape 2"]:
    """Positions in boxes as positions in pixels."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2 + at * (boxes[..., 2:] - boxes[..., :2]) / 2


def quality_logs(
    mixture: Float[Tensor, "*shape K 5"], x: Float[Tensor, "*shape w"], y: Float[Tensor, "*shape h"]
) -> tuple[Float[Tensor, "*shape h w"], Float[Tensor, "*shape h w"]]:
    """Logarithms of the value and of 1 minus the value, without cancellation, at all columns and rows of each box.

    Args:
        mixture: one for each box.
        x: columns, normalised.
        y: rows, normalised.
    """
    shares = _log_shares(mixture)[..., None, None, :]
    far_x = _half_square(x, mixture[..., 1], mixture[..., 3])
    far_y = _half_square(y, mixture[..., 2], mixture[..., 4])
    far = far_x[..., None, :, :] + far_y[..., :, None, :]
    # The logarithm at a mean itself is minus infinity, of which there is no gradient.
    apart = -(-far.clamp(min=torch.finfo(far.dtype).tiny)).expm1()
    nothing = shares[..., :1].expand(*far.shape[:-1], 1)
    missing = torch.cat([nothing, shares[..., 1:] + apart.log()], dim=-1)
    return (shares[..., 1:] - far).logsumexp(dim=-1), missing.logsumexp(dim=-1)


def values_at(
    mixture: Float[Tensor, "B M L K 5"], level: Int[Tensor, "B M S"], at: Float[Tensor, "B M S 2"]
) -> Float[Tensor, "B M S"]:
    """Value at normalised positions, each by its level's mixture."""
    index = level[..., None, None].expand(*level.shape, *mixture.shape[3:])
    return quality_logs(mixture.gather(2, index), at[..., :1], at[..., 1:])[0][..., 0, 0].exp()


def draw(
    mixture: Float[Tensor, "B M L K 5"], admitted: Bool[Tensor, "B M L"], uniform: Float[Tensor, "B S 3"]
) -> tuple[Float[Tensor, "B M S 2"], Int[Tensor, "B M S"]]:
    """Positions in each box and their levels, as dense as the value is high over all admitted levels.

    A component of a level is taken in proportion to what of its bell lies in the box; the position by the inverse of
    its normal distribution cut off at the sides.

    Args:
        mixture: of each box and level.
        admitted: levels that positions are drawn from.
        uniform: for each picture numbers from 0 to below 1 that choose the component, and x and y in it; the same
            for all its objects, so that their order means nothing.
    """
    mean, deviation = mixture[..., 1:3], mixture[..., 3:]
    below = torch.special.ndtr((-1 - mean) / deviation)
    held = torch.special.ndtr((1 - mean) / deviation) - below
    mass = _log_shares(mixture)[..., 1:].exp() * (deviation * held).prod(dim=-1) * admitted[..., None]
    upto = mass.flatten(2).cumsum(dim=2)
    wanted = uniform[:, None, :, :1] * upto[..., None, -1:]
    component = (wanted >= upto[..., None, :]).sum(dim=3).clamp(max=upto.shape[2] - 1)
    index = component[..., None].expand(*component.shape, 2)
    mean, deviation, below, held = (part.flatten(2, 3).gather(2, index) for part in (mean, deviation, below, held))
    at = mean + deviation * torch.special.ndtri(below + uniform[:, None, :, 1:] * held)
    return at.clamp(-1, 1), component // mixture.shape[3]


def lattice(count: int, shifts: Sequence[tuple[float, float, float]], like: Tensor) -> Float[Tensor, "B S 3"]:
    """Numbers from 0 to below 1 for `draw`, evenly spread in all three and moved by each picture's shifts.

    Args:
        count: positions.
        shifts: of each picture, from 0 to below 1.
        like: of the device and type that are wanted.
    """
    step = torch.arange(count, device=like.device, dtype=like.dtype)
    # The shifts are scalars of operations: a tensor of them would be copied to the device, which waits.
    return torch.stack(
        [
            torch.stack([(step + a) / count, (step / PLASTIC + b) % 1, (step / PLASTIC**2 + c) % 1], dim=1)
            for a, b, c in shifts
        ]
    )


def shifts(progress: float, image_id: int) -> tuple[float, float, float]:
    """Shifts of a picture's lattice at a moment of the training: a hash of both, with no state to keep."""
    digest = blake2b(f"{progress!r} {image_id}".encode(), digest_size=6).digest()
    a, b, c = (int.from_bytes(digest[at : at + 2], "big") / STEPS for at in (0, 2, 4))
    return a, b, c


def _log_shares(mixture: Float[Tensor, "*shape K 5"]) -> Float[Tensor, "*shape N"]:
    """Of nothing, then of each component."""
    logits = mixture[..., 0]
    return torch.cat([torch.zeros_like(logits[..., :1]), logits], dim=-1).log_softmax(dim=-1)


def _half_square(
    at: Float[Tensor, "*shape n"], mean: Float[Tensor, "*shape K"], deviation: Float[Tensor, "*shape K"]
) -> Float[Tensor, "*shape n K"]:
    return ((at[..., None] - mean[..., None, :]) / deviation[..., None, :]).square() / 2
