"""Names of a YOLO set's classes, and where the pictures of each part are: `data.yaml`, or folders and `classes.txt`."""

from __future__ import annotations

import os
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mmmc.data.formats.files import is_picture, read_text
from mmmc.data.formats.protocol import FOLDERS, PARTS, Flaw
from mmmc.errors import InputError

CLASSES = "classes.txt"
"""Name of the file that labelImg and Label Studio write: the name of a class on each line."""


@dataclass(frozen=True)
class Layout:
    """What a `data.yaml` says, or what there is around a `classes.txt`.

    Attributes:
        file: that has the names.
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

    file: Path
    root: Path
    start: Path
    names: tuple[str, ...]
    folders: dict[str, list[Path]]
    said: dict[str, str]
    roboflow: bool
    flaws: tuple[Flaw, ...]
    left_out: tuple[Flaw, ...]
    keypoints: int


def find_names(folder: Path) -> Path | None:
    """The file that makes a folder a YOLO set: `data.yaml`, `dataset.yaml`, or `classes.txt` with labels around it."""
    yaml_files = [*sorted(folder.glob("data.y*ml")), *sorted(folder.glob("dataset.y*ml"))]
    lists = [file for file in (folder / CLASSES, folder / "labels" / CLASSES) if file.is_file() and _folders(folder)]
    return next(iter([*yaml_files, *lists]), None)


def read_layout(file: Path) -> Layout:
    """What a file that `find_names` found says.

    Raises:
        InputError: it cannot be read; see `read_yaml`.
    """
    return _read_classes(file) if file.name == CLASSES else read_yaml(file)


def _read_classes(file: Path) -> Layout:
    """The layout of a set without a `data.yaml`. Which pictures it has is seen from its folders."""
    base = Path(os.path.abspath(file)).parent
    root = base.parent if base.name == "labels" and not _folders(base) else base
    text = read_text(file)
    lines = [] if isinstance(text, Flaw) else [line.strip() for line in text.rstrip().splitlines()]
    names, flaws = tuple(lines), []
    if isinstance(text, Flaw):
        flaws.append(text)
    elif not all(names) or not names:
        value = f"line {names.index('') + 1} is blank" if names else "there are no names of classes"
        flaws.append(Flaw("names-missing", file, "", value, "the name of a class on every line"))
    elif twice := sorted({name for name in names if names.count(name) > 1}):
        flaws.append(Flaw("class-twice", file, "", f"{', '.join(map(repr, twice))} twice", "each name once"))
    folders = {part: [folder] for part, folder in _folders(root).items()}
    said = {part: folder.relative_to(root).as_posix() for part, (folder,) in folders.items()}
    return Layout(file, root, root, names, folders, said, False, tuple(flaws), (), 0)


def _folders(root: Path) -> dict[str, Path]:
    """Folders of pictures with labels around a `classes.txt`: `images/PART` or `images` with `labels`, or the root."""
    images = root / "images"
    if images.is_dir() and (root / "labels").is_dir():
        parts = {part: images / name for part in PARTS for name in FOLDERS[part] if (images / name).is_dir()}
        return parts if "train" in parts else {"train": images}
    labelled = (file for file in root.glob("*.txt") if file.name != CLASSES)
    beside = any(is_picture(file) for file in root.glob("*.*")) and next(labelled, None) is not None
    return {"train": root} if beside else {}


def read_yaml(file: Path) -> Layout:
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
        value = next((content[key] for key in FOLDERS[part] if content.get(key)), None)
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
    return Layout(
        file=file,
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
