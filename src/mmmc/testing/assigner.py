"""`check_assigner`: every promise on every hard case."""

from __future__ import annotations

from mmmc.assign import Assigner
from mmmc.testing.hard_cases import scenes
from mmmc.testing.promises import CHECKS, BrokenPromise


def check_assigner(assigner: Assigner, *, seed: int = 0, crowd: int = 1000) -> None:
    """Hold an assigner to what all of them promise, on scenes with all the usual hard cases.

    Args:
        assigner: the one to check; its call must accept scenes with any number of levels and three classes.
        seed: of the random scenes.
        crowd: objects of the fullest picture, which takes most of the time.

    Raises:
        AssertionError: names the broken promise, the scene and the seed; `scenes(crowd)[name](seed)` of
            `mmmc.testing.hard_cases` makes the scene again.
    """
    for name, build in scenes(crowd).items():
        for promise, check in CHECKS.items():
            try:
                # Made anew for each check: an assigner that writes to its input would hide that from the next one.
                check(assigner, build(seed))
            except Exception as error:
                said = str(error) if isinstance(error, BrokenPromise) else f"{type(error).__name__}: {error}"
                raise AssertionError(
                    f"{assigner} breaks the promise {promise!r} in the scene {name!r} with seed {seed}: {said}"
                ) from error
