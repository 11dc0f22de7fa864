"""Every kind of fault is planted once, in a set that has none, and is the only one to be reported."""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmmc.cli import main
from mmmc.data.check import KINDS, check
from mmmc.data.check.pictures import Print, difference_hash, leaks
from mmmc.data.check.report import write_check
from mmmc.data.coco import check_agreement
from mmmc.data.formats import look, read
from mmmc.errors import InputError

from .planted import FIRST, PLANTED, TRAIN, Spoil, box, change, entry, hundred, more, turned

LATER = ("picture-truncated",)
"""Errors that training meets when it decodes the picture."""


def refused(at: Path) -> bool:
    """Whether training would refuse the set."""
    try:
        train, *others = [read(source) for source in look(at).parts]
        for other in others:
            check_agreement(train, other)
    except InputError:
        return True
    return False


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_nothing_is_reported_of_a_clean_set(format: str, clean: dict[str, Path]) -> None:
    found = check(clean[format])
    assert found.findings == ()
    assert found.counts == {"train": (4, 8), "val": (2, 4)}


def test_every_kind_is_planted() -> None:
    assert list(PLANTED) == list(KINDS)
    assert len(KINDS) >= 25


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_fault_is_found_alone(code: str, clean: dict[str, Path], tmp_path: Path) -> None:
    planted = PLANTED[code]
    at = shutil.copytree(clean[planted.format], tmp_path / "set")
    planted.spoil(at)
    findings = check(at).by_code()
    assert set(findings) == {code}
    finding = findings[code][0]
    assert finding.file == at / planted.file
    assert planted.says in f"{finding.place}: {finding.value}"
    assert refused(at) == (KINDS[code].level == "error" and code not in LATER)


def test_a_fault_of_a_file_that_parts_share_is_named_once(clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["yolo"], tmp_path / "set")
    PLANTED["names-count"].spoil(at)
    assert len(check(at).findings) == 1


def test_a_set_goes_without_test_pictures_that_are_not_there(clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["yolo"], tmp_path / "set")
    PLANTED["test-missing"].spoil(at)
    found = look(at)
    assert [(source.part, source.images) for source in found.parts] == [("train", at), ("val", at)]
    assert "test is left out, there is no" in found.seen


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (box(9, 9, 1.01, 5), None),
        (box(1, 1, 50, 5), None),
        (box(1, 1, 50.5, 5), "box-extreme"),
        (more(bbox=[4.5, 6, 12, 11]), "box-twice"),
        (more(bbox=[4.51, 6, 12, 11]), None),
        (more(bbox=[4, 6, 12, 11.51]), None),
        (change(lambda content: (hundred(content), content["annotations"].pop())), None),
        (box(53, 9, 12, 9), None),
        (box(53.01, 9, 12, 9), "box-reaches-out"),
    ],
)
def test_thresholds(spoil: Spoil, code: str | None, clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    spoil(at)
    assert list(check(at).by_code()) == ([code] if code else [])


@pytest.mark.parametrize(
    ("bits", "noise", "code"),
    [
        (4, 0, "leak-similar"),
        (5, 0, "leak-scene"),
        (10, 0, "leak-scene"),
        (11, 0, None),
        (4, 34, "leak-similar"),
        (4, 37, "leak-scene"),
        (10, 133, "leak-scene"),
        (10, 134, None),
    ],
)
def test_bits_and_the_correlation_decide(bits: int, noise: int, code: str | None) -> None:
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    other = grey.copy()
    other[::2, ::2] = other[::2, ::2].clip(max=255 - noise) + np.uint8(noise)
    here = {Path("a"): Print(b"a", 0, grey)}
    there = {Path("b"): Print(b"b", 2**bits - 1, other)}
    correlation = np.corrcoef(grey.ravel(), other.ravel())[0, 1]
    value = f"like a, which is in train: {bits} of 64 bits differ, correlation {correlation:.3f}"
    assert [(found.code, found.value) for found in leaks("train", here, "val", there)] == (
        [(code, value)] if code else []
    )


def test_a_picture_is_told_once_with_its_nearest() -> None:
    grey = np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1))
    speckled = grey ^ np.where(np.arange(1024).reshape(32, 32) % 7, 0, 64).astype(np.uint8)
    near, far, blank = Print(b"n", 1, grey), Print(b"f", 3, speckled), Print(b"o", 1, np.full_like(grey, 9))
    there = {Path("there"): Print(b"t", 1, grey)}

    def told(**here: Print) -> list[tuple[str, str]]:
        return [(found.code, found.value) for found in leaks("a", {Path(k): v for k, v in here.items()}, "b", there)]

    assert told(blank=blank) == []
    assert told() == []
    copy = ("leak-similar", "like near, which is in a: 0 of 64 bits differ, correlation 1.000")
    assert told(far=far, near=near, blank=blank) == [copy]
    assert told(far=far, near=near, again=near) == [(copy[0], copy[1] + " (and 1 more)")]
    ((code, value),) = told(far=far, farther=far)
    assert code == "leak-scene"
    assert value.startswith("like far, ")
    assert value.endswith(" (and 1 more)")
    assert told(near=near, same=Print(b"t", 1, grey)) == [("leak-file", "the bytes of same, which is in a")]


def test_a_picture_too_large_to_be_trained_on_is_an_error(
    clean: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 48 - 1)
    found = check(at).by_code()
    assert list(found) == ["picture-too-large"]
    assert "decompression bomb" in found["picture-too-large"][0].value


def test_what_follows_from_an_entry_without_a_name_is_not_told(clean: dict[str, Path], tmp_path: Path) -> None:
    for kind, field in (("categories", "name"), ("images", "file_name")):
        at = shutil.copytree(clean["coco"], tmp_path / kind)
        entry(kind, 0, **{field: ""})(at)
        codes = list(check(at).by_code())
        assert codes == ["field-wrong"] + ["picture-unlisted"] * (kind == "images")


def test_names_that_differ_by_case_between_parts_are_told_so(clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    change(lambda content: content["categories"][0].update(name="CAT"), "val")(at)
    (finding,) = check(at).by_code()["class-disagree"]
    assert finding.value == "'CAT'; train has 'cat', 'dog'; 'CAT' is 'cat' but for case or blanks"


def test_the_page_shows_names_as_text_and_the_box(clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    (at / FIRST).rename(at / "images/train/<b>&.png")
    entry("images", 0, file_name="<b>&.png")(at)
    box(8, 8, 50, 4)(at)
    _, page = write_check(check(at), tmp_path / "out")
    text = page.read_text()
    assert "<b>&" not in text
    assert "&lt;b&gt;&amp;.png" in text
    (source,) = re.findall(r"base64,([^\"]+)", text)
    with Image.open(io.BytesIO(base64.b64decode(source))) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert pixels.shape == (48, 64, 3)
    assert np.abs(pixels[8, 20:50] - (213, 94, 0)).mean() < 40
    assert np.abs(pixels[30, 20:50] - (213, 94, 0)).mean() > 40


def test_status_json_and_page(clean: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    assert main(["data", "check", str(at)]) == 0
    assert "0 errors, 0 warnings." in capsys.readouterr().out
    turned(at)
    assert main(["data", "check", str(at)]) == 0
    assert "warning picture-turned, 1 × picture turned by EXIF" in capsys.readouterr().out
    box(70, 9, 5, 5)(at)
    assert main(["data", "check", str(at), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert f"    train: {at / TRAIN}, annotation 2: bbox [70, 9, 5, 5], image 1 (train_1.png)\n  Effect: " in said
    assert "1 error, 1 warning." in said
    written = json.loads((tmp_path / "out/check.json").read_text())
    assert (written["errors"], [row["code"] for row in written["findings"]]) == (1, ["box-outside", "picture-turned"])
    page = (tmp_path / "out/check.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2
    assert "http" not in page


def test_almost_empty_pictures_are_not_taken_for_one_another(clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    for name, place in ((FIRST, 40), ("images/val/val_1.png", 10)):
        grey = np.full((48, 64), 255, dtype=np.uint8)
        grey[place : place + 2, 30:34] = 0
        Image.fromarray(grey).save(at / name)
    assert check(at).findings == ()


def test_pictures_of_16_bits_are_compared(clean: dict[str, Path], tmp_path: Path) -> None:
    at = shutil.copytree(clean["coco"], tmp_path / "set")
    grey = np.asarray(Image.open(at / FIRST).convert("L")).astype(np.uint16) * 250
    for name, brighter in ((FIRST, 0), ("images/val/val_1.png", 500)):
        Image.fromarray(grey + np.uint16(brighter)).save(at / name)
    assert list(check(at).by_code()) == ["leak-similar"]


def test_the_difference_hash_by_hand() -> None:
    rising = np.tile(np.arange(9, dtype=np.uint8), (8, 1))
    assert difference_hash(Image.fromarray(rising)) == 2**64 - 1
    assert difference_hash(Image.fromarray(rising[:, ::-1].copy())) == 0
    rising[0, :2] = 3, 0  # the first comparison is the highest bit
    assert difference_hash(Image.fromarray(rising)) == 2**63 - 1
