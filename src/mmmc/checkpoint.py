"""Files of weights and states: written whole or not at all, read without executing anything."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from mmmc.data.sets import Categories
from mmmc.errors import InputError
from mmmc.files import write_atomically
from mmmc.recipe import Recipe, from_dict, to_yaml

FORMAT = "mmmc 1"
"""Mark of our own files; the number grows when their content changes its meaning."""


HUB_FILE = "model.safetensors"
"""The weights of a folder that comes from a hub or goes to one."""


@dataclass(frozen=True)
class Weights:
    """What a detector needs to be built again: tensors, recipe, categories."""

    state: dict[str, Tensor]
    recipe: Recipe
    categories: Categories


def save_weights(path: Path, weights: Weights) -> None:
    """Write a safetensors file that holds recipe and categories in its metadata."""
    metadata = {
        "format": FORMAT,
        "recipe": to_yaml(weights.recipe),
        "categories": json.dumps(weights.categories.to_dict()),
    }
    state = {name: value.detach().cpu().contiguous() for name, value in weights.state.items()}
    # Not its `save_file`: that makes files which only their owner may read.
    content = save(state, metadata)
    write_atomically(path, lambda temporary: temporary.write_bytes(content))


def load_weights(path: Path) -> Weights:
    """Read a file of `save_weights`.

    Raises:
        InputError: there is no such file, it is no safetensors file, or not one of ours.
    """
    if not path.is_file():
        raise InputError(f"There is no run folder or weights file {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dictionary
    except SafetensorError as error:
        raise InputError(
            f"{path} is no safetensors file: {error}. Allowed: a run folder, or a .safetensors file of one."
        ) from error
    if metadata.get("format") != FORMAT:
        found = metadata.get("format", "no mark")
        raise InputError(f"{path} was not written by mmmc: its format is {found!r}; allowed: {FORMAT!r}.")
    recipe = from_dict(yaml.safe_load(metadata["recipe"]), source=f"the recipe inside {path}")
    return Weights(state, recipe, Categories.from_dict(json.loads(metadata["categories"])))


def weights_file(path: Path, weights: str = "best") -> Path:
    """The file that a path means: of a run folder these weights, of a hub's folder the only ones, or the file itself.

    Raises:
        InputError: the folder holds neither.
    """
    if not path.is_dir():
        return path
    for name in (f"{weights}.safetensors", HUB_FILE):
        if (path / name).is_file():
            return path / name
    raise InputError(f"{path} is no finished run and no folder of a hub: no {weights}.safetensors, no {HUB_FILE}.")


def save_checkpoint(path: Path, content: Mapping[str, Any]) -> None:
    """Write nested dictionaries of tensors, numbers and strings."""
    write_atomically(path, lambda temporary: torch.save({"format": FORMAT, **content}, temporary))


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a file of `save_checkpoint` onto the CPU, with `weights_only=True`.

    Raises:
        InputError: there is no such file, it cannot be read, or is not one of ours.
    """
    content = load_tensors(path)
    if content.get("format") != FORMAT:
        raise InputError(f"{path} is no checkpoint of mmmc: its format is not {FORMAT!r}.")
    return content


def load_tensors(path: Path) -> dict[str, Any]:
    """A dictionary that `torch.save` wrote, read without executing anything in it.

    Raises:
        InputError: there is no such file, or it is not that.
    """
    if not path.is_file():
        raise InputError(f"There is no checkpoint {path}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # bytes at random make the reader raise nearly anything
        # Not PyTorch's own words: they advise to read the file without this protection.
        reason = "it is damaged, or holds more than tensors, numbers and strings"
        raise InputError(f"{path} is no checkpoint that can be read safely: {reason}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}; a checkpoint is a dictionary.")
    return content


def load_state(model: nn.Module, state: Mapping[str, Tensor], source: str | Path) -> None:
    """Load tensors into a model that must have exactly these.

    Raises:
        InputError: names the first tensors that are missing, surplus or of another shape.
    """
    ours = model.state_dict()
    faults = [f"{name} is missing" for name in ours if name not in state]
    faults += [f"{name} is not part of the model" for name in state if name not in ours]
    faults += [
        f"{name} has shape {tuple(state[name].shape)} instead of {tuple(value.shape)}"
        for name, value in ours.items()
        if name in state and state[name].shape != value.shape
    ]
    if faults:
        more = f" and {len(faults) - 3} more" if len(faults) > 3 else ""
        raise InputError(f"{source} holds another model: {'; '.join(faults[:3])}{more}.")
    model.load_state_dict(state)
