"""`data.yaml`: names of the classes, and where the pictures of each part are."""

from __future__ import annotations

import os
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmmc.data.formats.protocol import PARTS, Flaw
from mmmc.errors import InputError

NAMES = "names in data.yaml"
_ALIASES = {"train": ("train",), "val": ("val", "valid"), "test": ("test",)}


@dataclass(frozen=True)
class DataYaml:
    """What the file says.

    Attributes:
        root: folder that contains all pictures.
        start: folder that its paths start from.
        names: of the classes, by index.
        folders: by part, folders of pictures or text files that list pictures.
        said: by part, as the file says it.
        roboflow: the file was exported by Roboflow.
        flaws: what is wrong with the names.
        keypoints: how many numbers of keypoints follow the box in a row.
        left_out: a test part that is not there, which is no part of `folders`.
    """

    root: Path
    start: Path
    names: tuple[str, ...]
    folders: dict[str, list[Path]]
    said: dict[str, str]
    roboflow: bool
    flaws: tuple[Flaw, ...]
    left_out: tuple[Flaw, ...]
    keypoints: int


def read_yaml(file: Path) -> DataYaml:
    """Read a `data.yaml`.

    Roboflow writes `../train/images` for a folder beside the file. Where a path with `..` in front leads nowhere and
    the one without does, that is taken.

    Raises:
        InputError: not YAML, no mapping, no part to train on, or a part that is no path.
    """
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a day 2020-13-45; thousands of nested brackets
        raise InputError(f"{file} is not YAML: {error}.") from error
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}.") from error
    if not isinstance(content, dict):
        raise InputError(f"{file}: the top level is {_shown(content)}. Allowed: a mapping with names, train and val.")
    base = Path(os.path.abspath(file)).parent
    start = base / str(content.get("path") or "")
    start = start if start.is_dir() else base
    folders, said, left_out = {}, {}, []
    for part in PARTS:
        value = next((content[key] for key in _ALIASES[part] if content.get(key)), None)
        if value is None:
            continue
        paths = value if isinstance(value, list) else [value]
        if not all(isinstance(path, str) for path in paths):
            raise InputError(f"{file}: {part} is {_shown(value)}. Allowed: a path, or a list of paths.")
        places = [_lead(start, path) for path in paths]
        # Exports name a test folder even where they have none, and training does without it.
        if part == "test" and not any(map(os.path.exists, places)):
            left_out.append(Flaw("test-missing", file, part, f"there is no {places[0]}", "a folder of pictures"))
            continue
        folders[part] = places
        said[part] = ", ".join(paths)
    if not folders:
        raise InputError(f"{file}: names no folder of pictures. Allowed: train, val and test with a path each.")
    names, flaws = _names(file, content)
    return DataYaml(
        root=_root(base, folders),
        start=start,
        names=names,
        folders=folders,
        said=said,
        roboflow="roboflow" in content,
        flaws=flaws,
        left_out=tuple(left_out),
        keypoints=_keypoints(file, content),
    )


def _lead(start: Path, path: str) -> Path:
    place = Path(os.path.normpath(start / path))
    if not os.path.exists(place):
        parts = [part for part in Path(path).parts if part != ".."]
        inside = start.joinpath(*parts)
        return inside if os.path.exists(inside) else place
    return place


def _root(base: Path, folders: dict[str, list[Path]]) -> Path:
    """The nearest folder above the file and everything that it names."""
    root = base
    for place in (place for places in folders.values() for place in places):
        while not place.is_relative_to(root):
            root = root.parent
    return root


def _keypoints(file: Path, content: dict[Any, Any]) -> int:
    shape = content.get("kpt_shape", [0, 0])
    if not isinstance(shape, list) or len(shape) != 2 or not all(type(side) is int and side >= 0 for side in shape):
        raise InputError(
            f"{file}: kpt_shape is {_shown(shape)}. Allowed: how many keypoints, and numbers of each, as [17, 3]."
        )
    return int(shape[0] * shape[1])


def _names(file: Path, content: dict[Any, Any]) -> tuple[tuple[str, ...], tuple[Flaw, ...]]:
    given = content.get("names")
    allowed = "a list of names, or a mapping of the indices 0, 1, 2 … to names"
    if given is None:
        return (), (Flaw("names-missing", file, "names", "there are no names of classes", allowed),)
    if isinstance(given, dict):
        if sorted(given, key=str) != sorted(range(len(given)), key=str):
            return (), (Flaw("names-missing", file, "names", f"the indices are {_shown(list(given))}", allowed),)
        given = [given[index] for index in range(len(given))]
    # YAML reads an unquoted name such as 7 or no as a number or a truth value.
    wrong = not isinstance(given, list) or not given or any(not isinstance(name, str) or not name for name in given)
    if wrong:
        return (), (
            Flaw("names-missing", file, "names", f"names is {_shown(given)}", f"{allowed}; in quotes, and not empty"),
        )
    names, flaws = tuple(given), []
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        flaws.append(Flaw("class-twice", file, "names", f"{', '.join(map(repr, twice))} twice", "each name once"))
    if "nc" in content and content["nc"] != len(names):
        what = f"nc is {_shown(content['nc'])}, and there are {len(names)} names"
        flaws.append(Flaw("names-count", file, "nc", what, "as many as there are names"))
    return names, tuple(flaws)


def _shown(value: object) -> str:
    """The value, cut short: a few aliases that name one another can stand for gigabytes."""
    return reprlib.repr(value)
