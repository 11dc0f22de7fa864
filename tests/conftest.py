"""What tests of several folders share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tiny_run import train_tiny

from mmmc.data.synthetic import make_synthetic


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded set in little: 12 pictures of 64 × 64 to train on and 4 to score. Not to be written to."""
    return make_synthetic(tmp_path_factory.mktemp("sets") / "tiny", train=12, val=4, size=(64, 64))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of pictures goes to a folder of the tests, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMMC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_run(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one epoch on `tiny_set`, by the command line. Not to be written to."""
    return train_tiny(tiny_set, tmp_path_factory.mktemp("runs") / "tiny")
