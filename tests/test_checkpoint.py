"""Weights and checkpoints come back as they were, and foreign files are refused without executing anything."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from mmmc.assign import FCOS
from mmmc.checkpoint import (
    Weights,
    load_checkpoint,
    load_state,
    load_tensors,
    load_weights,
    save_checkpoint,
    save_weights,
)
from mmmc.data.sets import Categories
from mmmc.errors import InputError
from mmmc.recipe import Recipe

RECIPE = Recipe(assigner=FCOS(range_strides=4.0))
WEIGHTS = Weights(
    {"a": torch.arange(6.0).view(2, 3), "b.c": torch.ones(1, 2, 3, 4, dtype=torch.float64)},
    RECIPE,
    Categories(("cell", "Zelle äöü"), (3, 90)),
)


def test_weights_come_back(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    last = WEIGHTS.state["b.c"].to(memory_format=torch.channels_last)
    save_weights(path, Weights({**WEIGHTS.state, "b.c": last}, RECIPE, WEIGHTS.categories))
    found = load_weights(path)
    assert found.state.keys() == WEIGHTS.state.keys()
    for name, value in WEIGHTS.state.items():
        assert found.state[name].dtype == value.dtype
        assert torch.equal(found.state[name], value)
    assert (found.recipe, found.categories) == (RECIPE, WEIGHTS.categories)


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_weights_may_be_read_by_whom_the_umask_lets(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        save_weights(tmp_path / "w.safetensors", WEIGHTS)
    finally:
        os.umask(before)
    assert (tmp_path / "w.safetensors").stat().st_mode & 0o777 == 0o666 & ~umask


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match=r"There is no run folder or weights file .*w\.safetensors"):
        load_weights(path)
    save_weights(path, WEIGHTS)
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:7], whole[:100], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"w\.safetensors is no safetensors file"):
            load_weights(path)
    for metadata, found in ((None, "no mark"), ({"format": "pt"}, "pt"), ({"format": "mmmc 2"}, "mmmc 2")):
        save_file({"a": torch.zeros(1)}, path, metadata)
        with pytest.raises(InputError, match=rf"not written by mmmc: its format is '{found}'; allowed: 'mmmc 1'"):
            load_weights(path)


def test_a_recipe_in_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    """As one of a newer version, or with a class that is not installed."""
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, path, {"format": "mmmc 1", "recipe": "modell: {}", "categories": "{}"})
    with pytest.raises(InputError, match=r"the recipe inside .*w\.safetensors: there is no section 'modell'"):
        load_weights(path)


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    save_checkpoint(path, {"model": {"a": torch.arange(3)}, "ema": None, "progress": {"epoch": 3, "best": 0.5}})
    found = load_checkpoint(path)
    assert torch.equal(found.pop("model")["a"], torch.arange(3))
    assert found == {"format": "mmmc 1", "ema": None, "progress": {"epoch": 3, "best": 0.5}}


class Malicious:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("legacy", [True, False])
def test_code_in_a_pickle_is_refused_and_not_executed(tmp_path: Path, legacy: bool) -> None:
    path, made = tmp_path / "c.pt", tmp_path / "made"
    content = {"format": "mmmc 1", "model": Malicious(made)}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(InputError, match=r"c\.pt is no checkpoint that can be read safely"):
        load_checkpoint(path)
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(InputError, match=r"c\.pt is no checkpoint that can be read safely"):
        load_checkpoint(path)
    assert not made.exists()
    # It is able to: trusted, the same file does what it came for.
    pickle.loads(path.read_bytes())["model"].close()
    assert made.exists()


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    with pytest.raises(InputError, match=r"There is no checkpoint .*c\.pt"):
        load_checkpoint(path)
    save_checkpoint(path, {"a": torch.zeros(100)})
    whole = path.read_bytes()
    for content in (b"", whole[:100], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"c\.pt is no checkpoint that can be read safely"):
            load_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(InputError, match=r"c\.pt holds a list; a checkpoint is a dictionary"):
        load_checkpoint(path)
    torch.save({"a": 1}, path)
    with pytest.raises(InputError, match=r"c\.pt is no checkpoint of mmmc: its format is not 'mmmc 1'"):
        load_checkpoint(path)


@given(content=st.binary(max_size=40))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_refused_alike(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.pt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"c\.pt is no checkpoint that can be read safely|c\.pt holds a"):
        load_tensors(path)
    with pytest.raises(InputError, match=r"c\.pt is no safetensors file"):
        load_weights(path)


def test_the_state_of_another_model_is_named(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = model.state_dict()
    load_state(model, {name: value + 1 for name, value in state.items()}, "c.pt")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    other = {"0.weight": torch.zeros(5, 2), "0.bias": state["0.bias"], "1.weight": state["1.weight"]}
    faults = r"1\.bias is missing; 0\.weight has shape \(5, 2\) instead of \(3, 2\)\."
    with pytest.raises(InputError, match=rf"c\.pt holds another model: {faults}"):
        load_state(model, other, "c.pt")
    with pytest.raises(InputError, match=r"0\.weight is missing; 0\.bias is missing; 1\.weight is missing and 2 more"):
        load_state(model, {"head": torch.zeros(1)}, tmp_path)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
