"""Pictures dealt to training and validation, so that every class is in both in the same proportion."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int

from mmmc.data.sets import CocoSet
from mmmc.errors import InputError


def split(
    pictures: CocoSet, share: float, *, seed: int = 0, group_by: str | None = None
) -> tuple[list[int], list[int]]:
    """Indices of the pictures to train on and to validate with, each list at least one picture long.

    Iterative stratification: the rarest class is dealt first, each picture with it to the part that lacks it most
    (Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", 2011). What is counted is in how
    many pictures a class occurs. Groups are dealt as a whole, large ones first within a class.

    Args:
        pictures: the set.
        share: of the pictures that validate, between 0 and 1.
        seed: of ties.
        group_by: regular expression; pictures whose names match it with the same text stay together. With a bracket
            in it the text of the first bracket counts.

    Raises:
        InputError: `share` or the expression cannot be used, a name does not match, or there are fewer than two groups.
    """
    if not 0 < share < 1:
        raise InputError(f"--val is {share}; allowed: a number between 0 and 1.")
    if seed < 0:
        raise InputError(f"--seed is {seed}; allowed: 0 or more.")
    groups = _groups(pictures, group_by)
    if len(groups) < 2:
        what = "picture" if group_by is None else "group"
        raise InputError(f"{pictures.annotations}: {len(groups)} {what} cannot be split. Allowed: at least 2.")
    held = deal(_holds(pictures), groups, share, seed)
    parts = [
        sorted(index for group, inside in zip(groups, held, strict=True) if inside == side for index in group)
        for side in (False, True)
    ]
    return parts[0], parts[1]


def deal(
    holds: Bool[np.ndarray, "n C"], groups: Sequence[Sequence[int]], share: float, seed: int
) -> Bool[np.ndarray, " g"]:
    """Which groups are held out.

    Args:
        holds: whether a picture shows a class.
        groups: the pictures of each group.
        share: of the pictures to hold out.
        seed: of ties.
    """
    counts = np.array([holds[list(group)].sum(axis=0) for group in groups])
    sizes = np.array([len(group) for group in groups], dtype=np.float64)
    shares = np.array([1 - share, share])
    lacks = shares[:, None] * counts.sum(axis=0)  # by part and class
    room = shares * sizes.sum()
    random = np.random.default_rng(seed)
    part = np.full(len(groups), -1)

    def give(group: int, wishes: np.ndarray) -> None:
        best = np.flatnonzero(wishes == wishes.max())
        best = best[room[best] == room[best].max()]
        part[group] = chosen = int(random.choice(best))
        lacks[chosen] -= counts[group]
        room[chosen] -= sizes[group]

    while len(open_ := np.flatnonzero(part < 0)):
        left = counts[open_].sum(axis=0)
        if not left.any():
            for group in open_[np.argsort(-sizes[open_], kind="stable")]:
                give(int(group), room)
            break
        rarest = int(np.argmin(np.where(left > 0, left, np.inf)))
        with_it = random.permutation(open_[counts[open_, rarest] > 0])
        for group in with_it[np.argsort(-counts[with_it, rarest], kind="stable")]:
            give(int(group), lacks[:, rarest])
    for side in (0, 1):  # a share so small that a part got nothing
        if not (part == side).any():
            part[int(np.argmin(sizes))] = side
    return part == 1


def _holds(pictures: CocoSet) -> Bool[np.ndarray, "n C"]:
    holds = np.zeros((len(pictures), len(pictures.categories)), dtype=bool)
    owners: Int[np.ndarray, " m"] = np.repeat(np.arange(len(pictures)), np.diff(pictures.offsets))
    counted = pictures.used & ~pictures.crowds
    holds[owners[counted], pictures.labels[counted]] = True
    return holds


def _groups(pictures: CocoSet, group_by: str | None) -> list[list[int]]:
    if group_by is None:
        return [[index] for index in range(len(pictures))]
    try:
        pattern = re.compile(group_by)
    except re.error as error:
        raise InputError(f"--group-by is {group_by!r}, no regular expression: {error}.") from error
    groups: dict[str, list[int]] = {}
    unmatched = []
    for index, name in enumerate(pictures.names):
        match = pattern.search(name)
        if match is None:
            unmatched.append(name)
        else:
            groups.setdefault((match.group(1) if pattern.groups else match.group()) or "", []).append(index)
    if unmatched:
        raise InputError(
            f"--group-by {group_by!r} does not match {len(unmatched)} of {len(pictures)} names, as {unmatched[0]!r}. "
            "Allowed: an expression that matches all."
        )
    return list(groups.values())
