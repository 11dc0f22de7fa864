from __future__ import annotations

from pathlib import Path

import pytest

from mmmc.recipe import DataConfig
from mmmc.training.sets import open_sets

from .tiny import save_lively, tiny_recipe


@pytest.fixture(scope="session")
def start(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights to begin with, whose predictions already overlap objects."""
    path = tmp_path_factory.mktemp("start") / "start.safetensors"
    categories = open_sets(DataConfig(path=str(tiny_set)))[0].categories
    save_lively(tiny_recipe(tiny_set), categories, path)
    return path
