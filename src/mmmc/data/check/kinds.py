"""The kinds of fault that are looked for: what each does to training, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

COPY_BITS, COPY_ALIKE = 4, 0.98
"""Two pictures are one, saved again, if their difference hashes differ in at most so many of 64 bits and their 32 × 32
grey copies correlate at least so well. Both have to hold, for almost empty pictures have like hashes."""
SCENE_BITS, SCENE_ALIKE = 10, 0.8
"""… and show one scene, as two frames of a video or two prints of a board do."""
CROWDED = 100
"""COCO's measure looks at no more detections of a picture."""
EXTREME = 10.0
"""A box that is so many times as long as wide is extreme."""
SAME = 0.5
"""Boxes whose sides are nowhere further apart, in pixels, are one box."""
SOME = 0.25
"""Where a larger share of a part's boxes leaves the pictures, it is the way of writing that is wrong."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault. Errors keep a set from being trained on, or make its labels wrong; warnings want a look."""

    level: Literal["error", "warning"]
    title: str
    effect: str
    remedy: str


def _error(title: str, effect: str, remedy: str) -> Kind:
    return Kind("error", title, effect, remedy)


def _warning(title: str, effect: str, remedy: str) -> Kind:
    return Kind("warning", title, effect, remedy)


_REFUSED = "Training refuses the set."
_BOX = "Training refuses the set, unless option bad_boxes is drop or clip."
_REWRITE = "Write the row again, or take it out."
_LEAK = "The score is of pictures that were trained on: it is too high."
_APART = "Look at both; split by groups of like pictures: mmmc data split --group-by."

KINDS = {
    # Files
    "json-broken": _error(
        "unreadable JSON", _REFUSED, "Mend the file at the line and column named, or export it again."
    ),
    "field-wrong": _error("field missing or of a wrong type", _REFUSED, "Write the field as COCO does."),
    "file-unreadable": _error("unreadable file", _REFUSED, "Save it as UTF-8, and allow it to be read."),
    "xml-broken": _error("unreadable XML", _REFUSED, "Mend the file at the line and column named, or export it again."),
    "xml-doctype": _error(
        "XML with a DOCTYPE", "Not read: entities may grow without limit.", "Take the DOCTYPE out of the file."
    ),
    "folder-missing": _error("folder missing", _REFUSED, "Correct the path in data.yaml, or fetch the folder."),
    "test-missing": _warning(
        "test pictures missing",
        "None: the part is left out; train and val are used.",
        "Fetch the pictures, or take test out: of data.yaml, or its JSON.",
    ),
    "no-pictures": _error("part without pictures", _REFUSED, "Correct the path, or leave the part out."),
    "label-without-picture": _error(
        "label file without picture", _REFUSED, "Fetch the picture, or take the label file away."
    ),
    "label-shared": _error(
        "label file of two pictures", _REFUSED, "Rename one of the pictures, and give it a label file of its own."
    ),
    "picture-without-label": _error(
        "picture without label file",
        _REFUSED,
        "Label it; if nothing is in it, give it an empty label file, or say option unlabelled=background.",
    ),
    "picture-unlisted": _warning(
        "picture that no annotation names", "It is not trained on.", "Label it, or take it away."
    ),
    "picture-not-listed": _warning(
        "labelled picture that no list names",
        "It is not trained on.",
        "Add its name to a list in ImageSets/Main, or take it away.",
    ),
    "picture-ambiguous": _error(
        "several pictures for one XML file", _REFUSED, "Correct filename, or rename a picture."
    ),
    # Pictures
    "picture-missing": _error("picture missing", _REFUSED, "Fetch the picture, or take its annotations out."),
    "picture-unreadable": _error("not a picture", _REFUSED, "Fetch the file again; save it as JPEG or PNG."),
    "picture-too-large": _error(
        "picture above the limit of pixels", _REFUSED, "Cut it into several with their boxes, or save it smaller."
    ),
    "picture-truncated": _error(
        "truncated or damaged picture", "Training stops when it meets the picture.", "Fetch the file again."
    ),
    "picture-size": _error(
        "size is not as annotated", _REFUSED, "Correct width and height; see whether the boxes fit the picture."
    ),
    "picture-turned": _warning(
        "picture turned by EXIF",
        "Trained on as displayed. Boxes that were drawn on the stored picture are wrong.",
        "Look at its boxes. To be free of the question, save the picture upright.",
    ),
    "picture-twice": _error("file name twice", _REFUSED, "Join the entries under one id, or in one XML file."),
    "picture-crowded": _warning(
        f"more than {CROWDED} objects in a picture",
        f"COCO's measure takes {CROWDED} detections of a picture: the others count as missed.",
        "Cut the picture into tiles.",
    ),
    "duplicate-file": _warning(
        "same file twice in a part", "The picture counts twice; labels may contradict.", "Keep one of them."
    ),
    "leak-file": _warning("same file in two parts", _LEAK, "Take it out of one part."),
    "leak-similar": _warning(
        f"like picture in two parts ({COPY_BITS} of 64 bits apart at most, correlation {COPY_ALIKE:g} at least)",
        _LEAK,
        _APART,
    ),
    "leak-scene": _warning(
        f"one scene in two parts ({SCENE_BITS} of 64 bits apart at most, correlation {SCENE_ALIKE:g} at least)",
        "The score says less of scenes that were never seen: it may be too high.",
        _APART,
    ),
    # Boxes
    "box-not-finite": _error("box that is not four finite numbers", _BOX, _REWRITE),
    "box-empty": _error(
        "box without area", _BOX, "Write the row again, or take it out; an inverted one has its corners swapped."
    ),
    "box-outside": _error(
        "box outside its picture",
        _BOX,
        "See whether the picture's size or the box is wrong.",
    ),
    "box-reaches-out": _error(
        "box that reaches out of its picture by more than 1 px", _BOX, "See whether size or box is wrong, or clip it."
    ),
    "number-not-share": _error("YOLO number outside 0..1", _BOX, "Divide pixels by the picture's width or height."),
    "box-tiny": _warning(
        "box of one pixel or less", "Often a slip of the hand; no detector finds it.", "Take it out, or draw it again."
    ),
    "box-twice": _warning(
        "box twice, with one class",
        "Both cannot be found, for NMS leaves one box: one counts as missed.",
        "Keep one of them.",
    ),
    "box-two-classes": _warning(
        "box twice, with two classes", "The classes contradict, unless objects may have several.", "Decide for one."
    ),
    "box-extreme": _warning(
        f"box more than {EXTREME:g} times as long as wide", "Few places of a picture fit such an object.", "Look at it."
    ),
    "crowd": _warning(
        "crowd region",
        "No loss and no score inside it (data.crowd).",
        "Nothing, if it is meant; else draw its objects.",
    ),
    "voc-off-by-one": _warning(
        "pixel 0 in VOC, which counts from 1",
        "The tool counted from 0: boxes of this set begin a pixel too early.",
        "Add 1 to xmin and ymin in all files, or export as COCO.",
    ),
    "no-objects": _error("part without objects", _REFUSED, "Label objects, or leave the part out."),
    # Classes and ids
    "names-missing": _error("names of classes missing", _REFUSED, "Write them into data.yaml or classes.txt."),
    "names-count": _error(
        "nc is not the number of names", _REFUSED, "Write into data.yaml the names that lack, or nc as it is."
    ),
    "class-index": _error("class index without a name", _REFUSED, "Correct the index, or add the name."),
    "class-twice": _error("name of a class twice", _REFUSED, "Join the classes, or rename one."),
    "class-disagree": _error("class that train lacks", _REFUSED, "Give the parts the same names."),
    "class-empty": _warning("class without examples", "Never predicted; no AP.", "Label some, or take it out."),
    "class-val-only": _warning(
        "class with examples in val alone", "Cannot be learned; its AP is 0.", "Split again: mmmc data split."
    ),
    "class-alike": _warning(
        "names that differ by case or blanks", "One class is taken for two.", "Join them, if they are one."
    ),
    "id-gaps": _warning("gaps in category ids", "None: ids are kept.", "Nothing, unless a class was lost."),
    "id-twice": _error("id twice", _REFUSED, "Count ids anew."),
    "picture-unknown": _error("annotation of an unknown picture", _REFUSED, "Add the picture, or take it out."),
    "category-unknown": _error("annotation of an unknown category", _REFUSED, "Add the category, or take it out."),
    # Rows and objects
    "row-columns": _error("row with a wrong number of columns", _REFUSED, _REWRITE),
    "row-number": _error("row that is not made of numbers", _REFUSED, _REWRITE),
    "rows-mixed": _warning(
        "polygon and box rows in one file", "Polygons become their bounding boxes.", "See whether two tools wrote it."
    ),
    "rows-polygon": _warning(
        "polygon rows",
        "Their bounding boxes are trained on; a box that is turned is not learned as such.",
        "Nothing, if upright boxes are meant.",
    ),
    "voc-size": _error("size missing", _REFUSED, "Write width and height into the XML."),
    "voc-name": _error("name of an object missing", _REFUSED, "Write the name of its class."),
    "voc-box": _error("box of an object missing or not made of numbers", _REFUSED, "Write xmin, ymin, xmax and ymax."),
}
"""By code."""
