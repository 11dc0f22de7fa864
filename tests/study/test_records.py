from __future__ import annotations

import json
import math

import pytest
from scipy.stats import t as student

from mmmc.errors import InputError
from mmmc.study.records import FIELDS, append, load
from mmmc.study.table import COMPARED, T_QUANTILES, differences, markdown, resolution, summary


def record(seed: int = 0, ap: float | None = 0.5, **changes) -> dict:
    return {
        "name": "fcos-giou",
        "set": "cells",
        "seed": seed,
        "recipe_hash": "a1b2",
        "version": "0.1.0",
        "metrics": {"AP": ap, "AP50": 0.8, "AP75": 0.6},
        "iterations": 540,
        "seconds": 412.5,
        "machine": {"cpu": "x", "cores": 2, "threads": 1, "torch": "2.14.1"},
    } | changes


def test_records_come_back_in_order(tmp_path):
    path = tmp_path / "new" / "records.jsonl"
    written = [record(0), record(1, name="größer\u2028"), record(0, set="other"), record(0, recipe_hash="c3")]
    for entry in written:
        append(path, entry)
    assert load(path) == written
    assert {file.name for file in path.parent.iterdir()} == {"records.jsonl", ".lock"}


def test_the_same_run_takes_its_old_place(tmp_path):
    path = tmp_path / "records.jsonl"
    for entry in (record(0, 0.1), record(1, 0.2), record(0, 0.3)):
        append(path, entry)
    assert [(entry["seed"], entry["metrics"]["AP"]) for entry in load(path)] == [(0, 0.3), (1, 0.2)]


def test_what_is_known_of_a_run_may_be_merged(tmp_path):
    path = tmp_path / "records.jsonl"
    append(path, record(0, 0.1), merge=lambda _: pytest.fail("there is nothing to merge"))
    append(path, record(0, 0.2), merge=lambda older: {**record(0, 0.3), "before": older["metrics"]["AP"]})
    assert [(entry["before"], entry["metrics"]["AP"]) for entry in load(path)] == [(0.1, 0.3)]


def test_further_fields_and_blank_lines_are_fine(tmp_path):
    path = tmp_path / "records.jsonl"
    path.write_text(json.dumps(record(note="x")) + "\n\n" + json.dumps(record(1)))
    assert [entry.get("note") for entry in load(path)] == ["x", None]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{'name': 1}", ["line 2", "not JSON"]),
        (json.dumps(record())[:-9], ["line 2", "not JSON"]),
        ("[1, 2]", ["line 2", "[1, 2]", "not a JSON object"]),
        *(
            (json.dumps({k: v for k, v in record().items() if k != name}), ["line 2", "missing", name])
            for name in FIELDS
        ),
        (json.dumps(record(seed="0")), ["line 2", "seed", "'0'", "int"]),
        (json.dumps(record(seed=True)), ["line 2", "seed", "True", "int"]),
        (json.dumps(record(metrics=[0.5])), ["line 2", "metrics", "dict"]),
        (json.dumps(record(metrics={"AP": "0.4"})), ["line 2", "metrics.AP", "'0.4'", "a finite number, or null"]),
        (json.dumps(record(metrics={"AP": math.nan})), ["line 2", "metrics.AP", "nan", "a finite number, or null"]),
        (json.dumps(record(metrics={"AP": math.inf})), ["line 2", "metrics.AP", "inf"]),
        (json.dumps(record(metrics={"AP": True})), ["line 2", "metrics.AP", "True"]),
        (json.dumps(record(agreement=[None] * 5)), ["line 2", "agreement", "6 entries"]),
        (json.dumps(record(agreement=[None] * 5 + [{"gap_focal": 1}])), ["line 2", "agreement", "sum_bce"]),
        (json.dumps(record(agreement=[None] * 5 + ["x"])), ["line 2", "agreement"]),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, words):
    path = tmp_path / "records.jsonl"
    text = json.dumps(record()) + "\n" + line + "\n"
    path.write_text(text)
    for act in (lambda: load(path), lambda: append(path, record(5))):
        with pytest.raises(InputError) as caught:
            act()
        assert all(word in str(caught.value) for word in [str(path), *words])
    assert path.read_text() == text


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.jsonl"):
        load(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (record(ap=math.nan), InputError),
        (record(note=math.nan), ValueError),
        ({"name": "x"}, InputError),
        (record(iterations=1.5), InputError),
    ],
)
def test_a_bad_record_leaves_the_file(tmp_path, bad, error):
    path = tmp_path / "records.jsonl"
    append(path, record())
    with pytest.raises(error):
        append(path, bad)
    assert load(path) == [record()]
    assert set(tmp_path.iterdir()) == {path, tmp_path / ".lock"}


def test_a_full_disk_leaves_the_file(tmp_path, monkeypatch):
    path = tmp_path / "records.jsonl"
    append(path, record())

    def half(self, text, encoding, **_):
        self.write_bytes(text[:20].encode(encoding))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", half)
    with pytest.raises(InputError, match="space"):
        append(path, record(1))
    assert load(path) == [record()]
    assert set(tmp_path.iterdir()) == {path, tmp_path / ".lock"}


def test_mean_and_spread_by_hand():
    # Deviations -.4, 0 and .4 points: variance (.16 + 0 + .16) / 2, standard deviation .4.
    rows = summary([record(2, 0.495), record(0, 0.487), record(1, 0.491), record(0, 0.3, name="fcos")], ["AP"])
    assert [(row.set, row.name, row.seeds) for row in rows] == [
        ("cells", "fcos-giou", (0, 1, 2)),
        ("cells", "fcos", (0,)),
    ]
    three, one = (row.metrics["AP"] for row in rows)
    assert three.values == (0.487, 0.491, 0.495)
    assert three.mean == pytest.approx(0.491)
    assert three.sd == pytest.approx(0.004)
    assert math.isnan(one.sd)


def test_markdown():
    records = [record(0, 0.487), record(1, 0.491), record(2, 0.495), record(3, None, name="fcos")]
    assert markdown(summary(records, ["AP", "AP75"])) == (
        "| set | name | AP | AP75 | seeds |\n"
        "| --- | --- | ---: | ---: | --- |\n"
        "| cells | fcos-giou | 49.1 ± 0.4 (n = 3) | 60.0 ± 0.0 (n = 3) | 0, 1, 2 |\n"
        "| cells | fcos | – | 60.0 (n = 1) | 3 |\n"
    )


def test_summary_of_nothing():
    assert summary([]) == []
    assert markdown([]).count("\n") == 2


@pytest.mark.parametrize(
    ("second", "words"),
    [
        (record(1, recipe_hash="c3d4"), "recipes \\(a1b2, c3d4\\)"),
        (record(0), "seed twice: \\[0, 0\\]"),
        (record(1, metrics={"AP": 0.5, "AP50": 0.7}), "'AP75'.*AP, AP50"),
    ],
)
def test_records_that_do_not_go_together_are_refused(second, words):
    with pytest.raises(InputError, match=words):
        summary([record(0), second])


def test_differences_are_paired_by_seed() -> None:
    """Gains of 1, 2 and 3: mean 2, deviation 1, t(2) = 4.303, so ± 4.303 / √3 = 2.48. Seed 3 has no partner."""

    def entry(name: str, seed: int, ap: float) -> dict:
        return record(seed, ap, name=name, metrics={"AP": ap, "AP50": 0.5, "AP75": ap})

    base = [entry("FCOS", seed, 0.30 + 0.01 * seed) for seed in range(4)]
    other = [entry("APS", seed, 0.30 + 0.01 * seed + 0.01 * (seed + 1)) for seed in (2, 1, 0)]
    text = differences(summary(base + other, COMPARED), "FCOS")
    assert "| cells | APS | +2.0 [-0.5, +4.5] (n = 3) | +2.0 [-0.5, +4.5] (n = 3) |" in text
    assert "| FCOS |" not in text
    undefined = [entry("APS", 3, 0.5) | {"metrics": {"AP": None, "AP75": 0.341}}]
    text = differences(summary(base + other + undefined, COMPARED), "FCOS")
    assert "| cells | APS | +2.0 [-0.5, +4.5] (n = 3) | +1.8 [+0.3, +3.3] (n = 4) |" in text
    assert "AP50 − FCOS" in differences(summary(base + other), "FCOS")
    with pytest.raises(InputError, match="no variant 'FOCS'"):
        differences(summary(base), "FOCS")
    with pytest.raises(InputError, match="Allowed: APS, 'FCOS, GIoU quality'\\."):
        differences(summary([record(name="FCOS, GIoU quality"), record(name="APS")]), "FCOS")


def test_what_difference_seeds_can_tell_by_hand() -> None:
    """Gains of 1, 2, 3 and of 0, 2: sums of squares 2 and 2 over 2 + 1 degrees of freedom, so a deviation of 1.155.

    Three seeds: 4.303 · 1.155 / √3 = 2.87; two: 12.706 · 1.155 / √2 = 10.37; five: 1.43; ten: 0.83.
    """
    base = [record(seed, 0.3, name="FCOS") for seed in range(3)]
    first = [record(seed, 0.3 + 0.01 * (seed + 1), name="APS") for seed in range(3)]
    second = [record(seed, 0.3 + 0.02 * seed, name="PAA") for seed in range(2)]
    alone = [record(0, 0.9, name="OTA")]
    text = resolution(summary(base + first + second + alone, ["AP"]), "FCOS")
    assert text.splitlines()[2] == "| cells | AP | 2 | 1.2 | 10.4 | 2.9 | 1.4 | 0.8 |"
    assert len(text.splitlines()) == 3
    with pytest.raises(InputError, match="no variant 'FOCS'"):
        resolution(summary(base), "FOCS")


def test_more_pairs_than_there_are_quantiles_are_refused() -> None:
    rows = summary([record(seed, 0.5 + 0.01 * seed, name=name) for name in ("FCOS", "APS") for seed in range(11)])
    with pytest.raises(InputError, match="11 pairs of seeds; allowed: at most 10"):
        differences(rows, "FCOS")


def test_t_quantiles_are_scipys() -> None:
    for degrees, value in enumerate(T_QUANTILES, 1):
        assert value == pytest.approx(student.ppf(0.975, degrees), abs=5e-4)


@pytest.mark.parametrize("told", [differences, resolution])
def test_a_set_without_the_other_variant_is_named(told) -> None:
    pairs = [record(seed, 0.5, name=name) for name in ("FCOS", "APS") for seed in range(2)]
    elsewhere = [record(0, 0.5, name="APS", set=name) for name in ("signs", "boards")]
    text = told(summary(pairs + elsewhere, ["AP"]), "FCOS")
    assert text.endswith("|\n\nNot compared, for there is no 'FCOS': signs, boards.\n")
    assert "Not compared" not in told(summary(pairs, ["AP"]), "FCOS")
