from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmmc.data import fields
from mmmc.data.fields import read_json
from mmmc.errors import InputError

_polygons = st.lists(st.lists(st.floats(-1e9, 1e9) | st.integers(), max_size=9), max_size=4)
_shapes = _polygons | st.just({"counts": [3, 4], "size": [2, 5]}) | st.lists(st.integers(), max_size=3)
_texts = st.sampled_from(['"segmentation": [[1, 2]]', "segmentation", 'x"segmentation', "ä汉🙂", "[", "\\"])
_values = st.recursive(
    st.integers() | _texts | st.booleans() | st.none(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.fixed_dictionaries(
            {"id": inner}, optional={"segmentation": _shapes, 'x"segmentation': _shapes, "z": inner}
        )
    ),
    max_leaves=20,
)


def without_segmentation(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_segmentation(inner) for key, inner in value.items() if key != "segmentation"}
    return [without_segmentation(inner) for inner in value] if isinstance(value, list) else value


@given(_values, st.booleans(), st.sampled_from([None, 1]), st.sampled_from([20, 100, 2**24]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_read_json_is_json_without_segmentation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: Any, ascii: bool, indent: int | None, chunk: int
) -> None:
    monkeypatch.setattr(fields, "_CHUNK", chunk)
    file = tmp_path / "any.json"
    file.write_text(json.dumps(value, ensure_ascii=ascii, indent=indent), encoding="utf-8")
    # A name with a quote before `segmentation` loses its polygons too: no field of COCO's is called so.
    expected = without_segmentation(value)
    assert strange_names_blank(read_json(file)) == strange_names_blank(expected)


def strange_names_blank(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: 0 if '"' in key else strange_names_blank(inner) for key, inner in value.items()}
    return [strange_names_blank(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("chunk", [1_000, 2**24])
def test_polygons_are_cut_before_parsing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(fields, "_CHUNK", chunk)
    rows = [{"segmentation": [[1.5, 2, 3e-5, -4.25]], "id": id, "bbox": [1, 2, 3, 4]} for id in range(200)]
    file = tmp_path / "any.json"
    file.write_text(json.dumps(rows))
    text = fields._without_polygons(file)
    assert without_segmentation(json.loads(text)) == without_segmentation(rows)
    # A name that lies across the border of two chunks is not seen; there are far fewer borders than rows.
    assert text.count(b"[[") <= file.stat().st_size // chunk // 3


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "any.json"
    file.write_bytes(b'\xef\xbb\xbf{"id": 1}')
    assert read_json(file) == {"id": 1}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"line 1, column 1"),
        (b'{"images": [\n{"segmentation": [[1, 2,\n 3]], "id": 1},, ]}', r"broken JSON at line 3, column 16"),
        (b'{"annotations": [{"id": 1, "segmentation": [[1, 2', r"broken JSON at line 1, column 50"),
        (b'{"name": "\xff"}', r"not UTF-8 text \(byte 0xff\)"),
        (b'{"id": ' + b"1" * 5000 + b"}", r"cannot be read: Exceeds the limit"),
        (b"[" * 100_000, r"cannot be read: maximum recursion"),
    ],
    ids=["empty", "comma", "cut short", "encoding", "long number", "nesting"],
)
def test_broken_json_is_named_with_its_place(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "broken.json"
    file.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(file)) + ".*" + message):
        read_json(file)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.json: there is no such file"):
        read_json(tmp_path / "none.json")
    with pytest.raises(InputError, match=re.escape(str(tmp_path)) + ": a folder"):
        read_json(tmp_path)
