"""Records of the paper's figures: all that is drawn of an object, in one small file, to commit and to draw from.

A record is an archive of arrays (`.npz`, nothing pickled). `about` is JSON: where the figure comes from, and the names
that are drawn. The picture is a JPEG, without padding; every other number is as the run had it.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from mmmc.draw.panels import cropped
from mmmc.draw.views import Candidates, Chosen, Found, Misaligned, Parted, Scene, View
from mmmc.errors import InputError
from mmmc.files import write_atomically
from mmmc.points import make_points

LIMIT = 1_000_000
"""Bytes of a record at most, so that it can be committed."""

ABOUT: dict[str, type] = {
    "figure": int,
    "set": str,
    "picture": str,
    "image_id": int,
    "object": int,
    "name": str,
    "recipe_hash": str,
    "seed": int,
    "weights": str,
    "version": str,
}
"""What every record says of itself: number of the figure, set, file and id of the picture, number and name of the
object, digest of the recipe, seed of the run, which of its weights, the package's version."""

NAMES: dict[int, dict[str, type]] = {1: {"losses": list}, 2: {"score": str}, 3: {"losses": list, "rules": list}}
"""What each figure's record says besides."""

COMMON = {"picture": ("u", "J"), "shapes": ("i", "L 2"), "strides": ("i", "L"), "box": ("f", "4")}
ARRAYS: dict[int, dict[str, tuple[str, str]]] = {
    1: {
        "losses": ("f", "losses P"),
        "best_point": ("i", "2"),
        "best_box": ("f", "2 4"),
        "best_score": ("f", "2"),
        "best_iou": ("f", "2"),
    },
    2: {
        "point": ("i", "Q"),
        "cls": ("f", "Q"),
        "reg": ("f", "Q"),
        "fit": ("f", "2 Q"),
        "score": ("f", "Q"),
        "positive": ("b", "Q"),
    },
    3: {"losses": ("f", "losses P"), "positive": ("b", "rules P")},
}
"""Kind and axes of each array: `P` points of all levels, `Q` candidates, `L` levels, `J` bytes, `losses` and `rules` by
name; of the two best points that of the class comes first."""


@dataclass(frozen=True)
class FigureRecord:
    """What is drawn, and where it comes from (`ABOUT`)."""

    about: Mapping[str, Any]
    view: View


def command(figure: int, path: str | Path) -> str:
    """How the record of a figure is made."""
    return f"mmmc study figure {figure} --run RUN --picture PICTURE --record {path}"


def write(path: Path, view: View, about: Mapping[str, Any]) -> None:
    """Write a record, whole or not at all.

    Args:
        path: the file, `.npz`.
        view: of figure 1, 2 or 3.
        about: `ABOUT` but for the object's name.

    Raises:
        InputError: the record is too large to commit, or the file cannot be written.
    """
    scene = view.scene
    names, arrays = _taken_apart(view)
    said = json.dumps({**about, "name": scene.name, **names}, ensure_ascii=False)
    memory = BytesIO()
    np.savez_compressed(
        memory,
        about=np.frombuffer(said.encode(), np.uint8),
        picture=np.frombuffer(_jpeg(cropped(scene.image, scene.size)), np.uint8),
        shapes=np.array(scene.points.shapes),
        strides=np.array(scene.points.strides),
        box=scene.box.numpy(),
        **arrays,
    )
    size = memory.tell()
    if size > LIMIT:
        raise InputError(
            f"{path}: the record would have {size:,} bytes; allowed: {LIMIT:,}. "
            "Choose a picture that the run resizes smaller."
        )
    write_atomically(path, lambda temporary: temporary.write_bytes(memory.getvalue()))


def read(path: Path, figure: int) -> FigureRecord:
    """Read the record of a figure, all of it checked.

    Raises:
        InputError: there is no such file, it is damaged, of another figure, or something is missing or of a wrong type
            or shape; says how the record is made.
    """
    try:
        stored = _load(path)
        about = _about(stored, figure)
        arrays = _arrays(stored, figure, about)
        return FigureRecord(about, _put_together(figure, about, arrays))
    except _Broken as broken:
        raise InputError(f"{path}: {broken} Make it by: {command(figure, path)}") from broken.__cause__


class _Broken(Exception):
    """What is wrong with a record, as a sentence."""


def _taken_apart(view: View) -> tuple[dict[str, Any], dict[str, Any]]:
    """Names and arrays, as `NAMES` and `ARRAYS` have them."""
    match view:
        case Misaligned():
            best = (view.best_class, view.best_box)
            return {"losses": list(view.losses)}, {
                "losses": torch.stack(list(view.losses.values())).numpy(),
                "best_point": np.array([found.point for found in best]),
                "best_box": torch.stack([found.box for found in best]).numpy(),
                "best_score": np.array([found.score for found in best]),
                "best_iou": np.array([found.iou for found in best]),
            }
        case Parted(candidates=shown):
            return {"score": view.score}, {
                "point": shown.point.numpy(),
                "cls": shown.cls.numpy(),
                "reg": shown.reg.numpy(),
                "fit": torch.stack(shown.fit).numpy(),
                "score": shown.score.numpy(),
                "positive": shown.positive.numpy(),
            }
        case Chosen():
            return {"losses": list(view.losses), "rules": list(view.positive)}, {
                "losses": torch.stack(list(view.losses.values())).numpy(),
                "positive": torch.stack(list(view.positive.values())).numpy(),
            }
    raise ValueError(f"{type(view).__name__} has no record; figures 1, 2 and 3 have.")


def _put_together(figure: int, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> View:
    image = _picture(arrays["picture"].tobytes())
    size = (image.shape[1], image.shape[2])
    points = make_points([(height, width) for height, width in arrays["shapes"].tolist()], arrays["strides"].tolist())
    tensor = {name: torch.from_numpy(array) for name, array in arrays.items()}
    scene = Scene(image, size, points, tensor["box"], about["name"])
    if figure == 2:
        candidates = Candidates(
            point=tensor["point"],
            cls=tensor["cls"],
            reg=tensor["reg"],
            fit=(tensor["fit"][0], tensor["fit"][1]),
            score=tensor["score"],
            positive=tensor["positive"],
        )
        return Parted(scene, candidates, about["score"])
    losses = dict(zip(about["losses"], tensor["losses"], strict=True))
    if figure == 3:
        return Chosen(scene, losses, dict(zip(about["rules"], tensor["positive"], strict=True)))

    def best(place: int) -> Found:
        point, score, iou = (tensor[name][place].item() for name in ("best_point", "best_score", "best_iou"))
        return Found(int(point), tensor["best_box"][place], score, iou)

    return Misaligned(scene, best(0), best(1), losses)


def _load(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise _Broken("there is no such record of a figure.")
    try:
        # From memory: of a damaged file that it opened itself, NumPy leaves a handle.
        archive = np.load(BytesIO(path.read_bytes()), allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise ValueError("a single array")
        return dict(archive)
    # An array that is pickled, a file of another kind, a damaged one.
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise _Broken(f"not an archive of arrays, or damaged ({error}).") from error


def _about(stored: Mapping[str, np.ndarray], figure: int) -> dict[str, Any]:
    if "about" not in stored:
        raise _Broken("it lacks about, the JSON that says what it is of.")
    try:
        about = json.loads(stored["about"].tobytes())
    except ValueError as error:
        raise _Broken(f"about is not JSON ({error}).") from error
    if not isinstance(about, dict) or about.get("figure") != figure:
        number = about.get("figure") if isinstance(about, dict) else None
        raise _Broken(f"it is of figure {number}, not of figure {figure}.")
    for name, kind in (ABOUT | NAMES[figure]).items():
        if name not in about:
            raise _Broken(f"about lacks {name}.")
        if type(about[name]) is not kind:
            raise _Broken(f"about says that {name} is {about[name]!r}; allowed: {kind.__name__}.")
    for name in ("losses", "rules"):
        said = about.get(name, ["one"])
        if not said or len(set(map(str, said))) < len(said) or not all(isinstance(entry, str) for entry in said):
            raise _Broken(f"about says that {name} are {said!r}; allowed: names, each once.")
    return about


def _arrays(stored: Mapping[str, np.ndarray], figure: int, about: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The figure's arrays, of the right kinds and shapes, their indices in range."""
    sizes = {name: len(about[name]) for name in ("losses", "rules") if name in about}
    found = {}
    for name, (kind, axes) in (COMMON | ARRAYS[figure]).items():
        if name not in stored:
            raise _Broken(f"it lacks the array {name}.")
        array = stored[name]
        wanted = axes.split()
        bound = [int(axis) if axis.isdigit() else sizes.get(axis) for axis in wanted]
        if (
            array.dtype.kind != kind
            or array.ndim != len(bound)
            or any(size not in (None, have) for size, have in zip(bound, array.shape, strict=True))
            or not array.size
        ):
            shown = " × ".join(axis if size is None else str(size) for axis, size in zip(wanted, bound, strict=True))
            raise _Broken(f"{name} is {array.dtype} of {array.shape}; allowed: kind {kind} of {shown}, not empty.")
        sizes |= dict(zip(wanted, array.shape, strict=True))
        if name in ("shapes", "strides") and array.min() < 1:
            raise _Broken(f"{name} are {array.tolist()}; allowed: at least 1.")
        if name == "shapes":
            sizes["P"] = int(array.prod(axis=1).sum())
        found[name] = array.astype(np.float32) if kind == "f" else array
    for name in ("point", "best_point"):
        if name in found and not (found[name].min() >= 0 and found[name].max() < sizes["P"]):
            raise _Broken(f"{name} names a point that is not there; allowed: 0 to {sizes['P'] - 1}.")
    if "losses" in found and not np.isfinite(found["losses"]).any(axis=1).all():
        raise _Broken("one of the losses has no finite value, so there is nothing to show.")
    return found


def _jpeg(pixels: UInt8[np.ndarray, "h w 3"]) -> bytes:
    memory = BytesIO()
    Image.fromarray(pixels).save(memory, format="JPEG", quality=90)
    return memory.getvalue()


def _picture(data: bytes) -> UInt8[Tensor, "3 h w"]:
    try:
        with Image.open(BytesIO(data), formats=("JPEG",)) as image:
            return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise _Broken(f"its picture is no JPEG, or damaged ({error}).") from error
