"""Faults of classes, over all parts of a set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mmmc.data.check.findings import Finding
from mmmc.data.formats import Raw


def class_findings(parts: Sequence[Raw]) -> Iterator[Finding]:
    """What is wrong with names and ids, and with where classes have examples.

    Args:
        parts: those to train on first.
    """
    train, *others = parts
    for raw in parts:
        yield from _names(raw)
    known = set(train.names)
    # A name that train has wrong is named already.
    nameless = any(flaw.place.startswith("category ") for flaw in train.flaws)
    for raw in others:
        foreign = [name for name in raw.names if name not in known]
        if foreign and train.names and not nameless:
            alike = [f"{name!r} is {like!r} but for case or blanks" for name in foreign for like in _like(name, train)]
            value = "; ".join([_quoted(foreign), f"train has {_quoted(train.names)}", *alike])
            yield _finding(raw, "class-disagree", value)
    # Of VOC only the names of its objects are known, and a part that could not be read shows nothing.
    if train.source.format == "voc" or any(flaw.code == "json-broken" for raw in parts for flaw in raw.flaws):
        return
    shown = [{raw.names[box.label] for box in raw.boxes if box.label < len(raw.names)} for raw in parts]
    for name in train.names:
        if not any(name in names for names in shown):
            yield _finding(train, "class-empty", repr(name))
        elif name not in shown[0]:
            yield _finding(
                next(raw for raw, names in zip(parts, shown, strict=True) if name in names),
                "class-val-only",
                repr(name),
            )


def _names(raw: Raw) -> Iterator[Finding]:
    alike: dict[str, list[str]] = {}
    for name in raw.names:
        alike.setdefault(_plain(name), []).append(name)
    for names in alike.values():
        different = list(dict.fromkeys(names))
        if len(different) > 1:
            yield _finding(raw, "class-alike", _quoted(different))
        if len(different) < len(names) and raw.source.format == "coco":
            yield _finding(raw, "class-twice", _quoted(names))
    if raw.source.format == "coco" and raw.ids:
        gaps = (
            sorted(set(range(raw.ids[0], raw.ids[-1] + 1)) - set(raw.ids)) if raw.ids[-1] - raw.ids[0] < 10**6 else []
        )
        if gaps or raw.ids[-1] - raw.ids[0] >= 10**6:
            shown = ", ".join(map(str, gaps[:8])) + (" …" if len(gaps) > 8 else "")
            yield _finding(raw, "id-gaps", f"{raw.ids[0]} to {raw.ids[-1]}, without {shown or 'most'}")


def _plain(name: str) -> str:
    """Without what two spellings of a name may differ by."""
    return "".join(name.casefold().split()).replace("_", "").replace("-", "")


def _like(name: str, train: Raw) -> list[str]:
    """Names of train that are this one, spelled otherwise."""
    return [known for known in train.names if known != name and _plain(known) == _plain(name)]


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _finding(raw: Raw, code: str, value: str) -> Finding:
    return Finding(code, raw.source.part, raw.source.annotations, "categories", value)
