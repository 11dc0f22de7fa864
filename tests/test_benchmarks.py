"""The benchmarks: how they measure, that they run, and that the documents name what there is."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.__main__ import VERBS, benchmarks, main, options, without_files
from benchmarks.goals import goals, gpu_goals
from benchmarks.intervals import ENOUGH, median, paired_ratio, unpaired_ratio
from benchmarks.memory import Peak, apart
from benchmarks.result import Result, Row, read
from benchmarks.setting import Setting
from benchmarks.suite import assigners, deformable, gpu
from benchmarks.timing import Effort, interleaved

ROOT = Path(__file__).parent.parent
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A benchmark sets the number of threads of its process, which here is that of all tests."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


class Work:
    """Takes what it is told, and writes down when it was its turn."""

    def __init__(self, name: str, values: list[float], log: list[str]) -> None:
        self.name, self.values, self.log = name, iter(values), log

    def __call__(self) -> float:
        self.log.append(self.name)
        return next(self.values)


def test_rivals_take_turns_and_the_warm_up_does_not_count() -> None:
    log: list[str] = []
    rivals = {"a": Work("a", [9, 1, 2, 3], log), "b": Work("b", [9, 4, 5, 6], log)}
    first, second = interleaved(rivals, {"b": "a"}, Effort(warmup=1, least=3, most=3))
    assert log == list("abbaabba")
    assert (first.values, second.values) == ((1, 2, 3), (4, 5, 6))
    assert (first.against, second.against) == ("", "a")


@pytest.mark.parametrize(
    ("effort", "rounds"),
    [
        (Effort(warmup=0, least=5, most=30, within=0.02), 5),  # the ratio is known from the start
        (Effort(warmup=0, least=5, most=30, within=-1.0), 30),
        (Effort(warmup=0, least=5, most=30, within=-1.0, seconds=0.0), 5),
    ],
    ids=["known", "most", "seconds"],
)
def test_rounds_end(effort: Effort, rounds: int) -> None:
    noise = np.random.default_rng(0).uniform(1, 2, 30).tolist()
    rivals = {"a": Work("a", noise, []), "b": Work("b", [3 * value for value in noise], [])}
    assert len(interleaved(rivals, {"b": "a"}, effort)[0].values) == rounds


def test_rounds_go_on_while_a_ratio_is_not_known() -> None:
    random = np.random.default_rng(0)
    rivals = {name: Work(name, random.uniform(1, 2, 400).tolist(), []) for name in "ab"}
    (a, b) = interleaved(rivals, {"b": "a"}, Effort(warmup=0, least=5, most=400, within=0.05))
    assert 10 < len(a.values) < 400
    assert paired_ratio(b.values, a.values).spread <= 0.05 < paired_ratio(b.values[:-1], a.values[:-1]).spread


def test_the_ratio_is_that_of_each_round() -> None:
    """A machine that becomes five times slower half-way changes both rivals, not their ratio."""
    base = [1.0, 1.0, 1.0, 5.0, 5.0, 5.0]
    found = paired_ratio([2 * value for value in base], base)
    assert (found.median, found.low, found.high) == (2, 2, 2)
    assert unpaired_ratio([2 * value for value in base], base).high > 5
    inverse = paired_ratio([1, 2, 4], [1, 1, 1]).inverse()
    assert (inverse.median, inverse.low, inverse.high) == (0.5, 0.25, 1)


@pytest.mark.parametrize(
    ("rounds", "coverage", "held"),
    [(2, 0.5, 0.5), (3, 0.75, 0.75), (5, 0.9375, 0.9375), (6, 0.95, 0.96875), (9, 0.95, 0.9609), (15, 0.95, 0.9648)],
)
def test_intervals_hold_the_median_as_often_as_they_say(rounds: int, coverage: float, held: float) -> None:
    """Of a skewed law, as times follow one. Tables of the sign test: of 9 one is left out at both ends, of 15 three."""
    random = np.random.default_rng(1)
    found = [median(random.lognormal(size=rounds).tolist()) for _ in range(4000)]
    assert {one.coverage for one in found} == {coverage}
    assert sum(one.low <= 1 <= one.high for one in found) / 4000 == pytest.approx(held, abs=0.02)


def test_an_interval_of_few_rounds_says_so() -> None:
    assert median([1.0, 2.0, 3.0]).inverse().times(2).reserve == " (75 %)"
    assert unpaired_ratio([1.0] * 9, [1.0] * 4).reserve == " (88 %)"
    assert median([1.0] * ENOUGH).reserve == ""


def test_a_single_round_has_no_interval() -> None:
    found = median([3.0])
    assert found.median == 3
    assert np.isnan([found.low, found.high]).all()
    assert found.spread == np.inf
    assert np.isnan(unpaired_ratio([1.0, 2.0], [1.0]).low)


def extra_of(numbers: int) -> float | None:
    """MB of so many numbers of four bytes."""
    with Peak(CPU) as peak:
        torch.ones(numbers)
    return peak.extra


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_peak_memory() -> None:
    # Fresh processes: this one may hold freed memory that would be used first.
    assert apart(extra_of, 50_000_000) == pytest.approx(200, rel=0.1)
    assert apart(extra_of, 0) == pytest.approx(0, abs=5)


def again(numbers: int) -> tuple[str | None, float | None]:
    """How large blocks are that are given back at once, and MB that a third call needs: others' may be there still."""
    extra_of(numbers)
    extra_of(numbers)
    return os.environ.get("MALLOC_MMAP_THRESHOLD_"), extra_of(numbers)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_an_allocator_that_keeps_nothing_tells_what_is_needed() -> None:
    before = dict(os.environ)
    assert apart(again, 2_000_000)[0] is None
    assert apart(again, 2_000_000, keeping=False) == ("65536", pytest.approx(8, rel=0.1))
    assert os.environ == before


def tiny(name: str, tmp_path: Path, *more: str) -> Result:
    """The result of a tiny run by the command line; all rows have values and what they are compared with."""
    file = tmp_path / f"{name}.json"
    assert main([name, "--tiny", "--out", str(file), *more]) == 0
    return sound(file, name, *more)


def sound(file: Path, name: str, *more: str) -> Result:
    """The result in a file of a tiny run."""
    result = read(file)
    assert result.tiny
    assert result.command == " ".join(["python -m benchmarks", name, "--tiny", *more])
    for row in result.rows:
        assert min(row.values) > 0
        assert not row.against or result.ratio(row)
    return result


def goals_find_their_figures(result: Result) -> bool:
    """Whether the rows that the goals look at are there, with what is looked at."""
    looked_at = [goal for goal in goals(("FCOS",)) if goal.benchmark == result.benchmark]
    return all({name for name, _ in goal.figures(result)} == set(goal.rows) for goal in looked_at)


QUICK = ("mixture", "detector", "deformable", "step", "coco_reader")


def test_they_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deformable, "TINY", {next(iter(deformable.MAPS)): (1, 8, 6, 10)})
    monkeypatch.setattr(assigners, "TINY", assigners.COUNTS)
    results = [tiny(name, tmp_path) for name in QUICK]
    crowds = tuple(assigners.measure("FCOS", Setting(CPU, tiny=True)))
    results.append(replace(results[0], benchmark="assigners", rows=crowds))
    assert [result.benchmark for result in results if not goals_find_their_figures(result)] == []
    assert {goal.benchmark for goal in goals(())} <= benchmarks().keys()


@pytest.mark.full
@pytest.mark.parametrize("name", ["torchvision", "evaluation", "loader", "methods", "processes", "runtimes", "start"])
def test_the_slower_ones_run(name: str, tmp_path: Path) -> None:
    """Each in a process of its own, as `all` runs them: a signal may kill one after loaders and exported files."""
    file = tmp_path / f"{name}.json"
    subprocess.run([sys.executable, "-m", "benchmarks", name, "--tiny", "--out", file], check=True, cwd=ROOT)
    assert goals_find_their_figures(sound(file, name))


@pytest.mark.full
def test_that_of_a_gpu_runs_on_a_cpu(tmp_path: Path) -> None:
    """And has all rows that the goals of a GPU look at, but for smaller batches."""
    assert main(["gpu", "--tiny", "--out", str(tmp_path / "gpu.json"), "--picture", str(tmp_path / "gpu.png")]) == 0
    rows = read(tmp_path / "gpu.json").rows
    assert {row.skipped for row in rows} - {""} == {"needs a CUDA device"}
    looked_at = {name for goal in gpu_goals() for name in (*goal.rows, goal.against) if name}
    assert {name.replace("batch 16", "batch 2") for name in looked_at} <= {row.name for row in rows}
    assert (tmp_path / "gpu.png").stat().st_size > 20_000


def test_what_a_gpu_measured_outlasts_an_interruption(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: Setting) -> list[Row]:
        raise KeyboardInterrupt

    monkeypatch.setattr(gpu, "PARTS", {"waits": lambda _: [Row("FCOS", (1.0,))], "training": interrupted})
    with pytest.raises(KeyboardInterrupt):
        main(["gpu", "--tiny", "--out", str(tmp_path / "gpu.json")])
    assert [row.name for row in read(tmp_path / "gpu.json").rows] == ["waits: FCOS"]


def test_operators_of_a_step(tmp_path: Path) -> None:
    """Rows by time, the largest first, and with the others they are the step."""
    rows = tiny("operators", tmp_path).rows
    times = [row.values[0] for row in rows]
    assert times[:-2] == sorted(times[:-2], reverse=True)
    assert sum(times[:-1]) == pytest.approx(times[-1])
    assert any("convolution" in row.name and row.note.endswith(" calls") for row in rows)


def test_the_list_names_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    said = capsys.readouterr().out
    files = {file.stem for file in (ROOT / "benchmarks" / "suite").glob("*.py")} - {"__init__"}
    assert all(re.search(rf"^  {name} +\S", said, flags=re.MULTILINE) for name in files | set(VERBS))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["assigner"], "Did you mean 'assigners'"),
        (["mixture", "--device", "tpu"], "allowed: cpu, cuda"),
        (["evaluation", "--device", "cuda"], "nothing of evaluation runs on a device"),
        (["mixture", "--threads", "0"], "--threads is 0; allowed: at least 1"),
        (["all", "--device", "cuda"], "python -m benchmarks gpu"),
    ],
)
def test_bad_options(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def test_a_command_keeps_no_path() -> None:
    given = ["--tiny", "--out", "/home/me/a.json", "--threads", "2", "--picture=b.png", "--only", "APS"]
    assert without_files(given) == ["--tiny", "--threads", "2", "--only", "APS"]


@pytest.mark.parametrize(
    "document", ["README.md", "Makefile", "CONTRIBUTING.md", "docs/performance.md", "docs/decisions.md"]
)
def test_documents_name_what_there_is(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8").replace("\\\n", " ")
    flags = {flag for action in options("mixture", ("part",))._actions for flag in action.option_strings}
    flags |= {"--into", "--threshold", "--force", "--retry", "--minutes", "--records"}
    for name, rest in re.findall(r"python -m benchmarks (\w+)([^\n`|#]*)", text):
        assert name in benchmarks() or name in VERBS, name
        # Make's own expressions are seen through.
        words = shlex.split(re.sub(r"[$()]", " ", rest), comments=True)
        assert {word for word in words if re.match("--[a-z]", word)} <= flags, rest
    assert not re.search(r"python -m benchmarks\.\w", text)
