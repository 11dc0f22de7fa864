from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from mmmc.data.sets import Categories
from mmmc.errors import InputError
from mmmc.predictor import Predictor
from mmmc.runtime import FileDetector
from mmmc.serve import FileEngine, Found, Limits, RunEngine
from mmmc.serve.batching import Answer, Batcher
from mmmc.serve.limits import Refused

from .conftest import LIMITS, Grey, picture


class Held(Grey):
    """Answers once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.begun = threading.Event()

    def __call__(self, pictures: Sequence[Image.Image]) -> list[list[Found]]:
        self.begun.set()
        assert self.let.wait(20)
        return super().__call__(pictures)


async def asked(engine: Grey, files: list[bytes], limits: Limits = LIMITS) -> tuple[list[Any], list[int]]:
    """Answers and refusals of requests that come while the first is in work, and the sizes of batches."""
    sizes: list[int] = []
    batcher = Batcher(engine, limits, sizes.append)
    worker = asyncio.create_task(batcher.work())
    first = asyncio.create_task(batcher.ask(files[0]))
    if isinstance(engine, Held):
        await asyncio.to_thread(engine.begun.wait, 20)
    others = [asyncio.create_task(batcher.ask(file)) for file in files[1:]]
    await asyncio.sleep(0.05)
    if isinstance(engine, Held):
        engine.let.set()
    answers = await asyncio.gather(first, *others, return_exceptions=True)
    worker.cancel()
    return answers, sizes


def test_what_waits_goes_together_and_each_gets_its_own() -> None:
    files = [picture((10 + index, 5), grey=20 * index) for index in range(7)]
    answers, sizes = asyncio.run(asked(Held(), files))
    assert sizes == [1, 4, 2]
    assert [(answer.width, answer.height, answer.found[0].score) for answer in answers] == [
        (10 + index, 5, 20 * index / 255) for index in range(7)
    ]


def test_a_full_queue_refuses_what_is_beyond_it() -> None:
    answers, _ = asyncio.run(asked(Held(), [picture()] * (1 + LIMITS.queue + 2)))
    assert [isinstance(answer, Answer) for answer in answers] == [True] * (1 + LIMITS.queue) + [False] * 2
    assert isinstance(answers[-1], Refused)
    assert (answers[-1].status_code, answers[-1].detail["limit"]) == (429, {"queue": 8})


def test_who_waits_too_long_is_told_and_not_worked_for() -> None:
    engine = Held()
    threading.Timer(0.5, engine.let.set).start()

    async def ask() -> list[Any]:
        batcher = Batcher(engine, replace(LIMITS, seconds=0.1), lambda _: None)
        worker = asyncio.create_task(batcher.work())
        answers = await asyncio.gather(*(batcher.ask(picture()) for _ in range(5)), return_exceptions=True)
        await asyncio.to_thread(engine.let.wait, 5)
        await asyncio.sleep(0.1)
        worker.cancel()
        return answers

    answers = asyncio.run(ask())
    assert {(answer.status_code, str(answer.detail["limit"])) for answer in answers} == {(429, "{'seconds': 0.1}")}
    assert engine.batches == [4]  # the fifth was given up before its turn


def test_turns_are_under_the_same_limits() -> None:
    async def take() -> list[Any]:
        batcher = Batcher(Grey(), replace(LIMITS, seconds=0.1, queue=2), lambda _: None)

        async def one() -> str:
            async with batcher.turn():
                return "drawn"

        async with batcher.turn():
            answers = await asyncio.gather(*(one() for _ in range(4)), return_exceptions=True)
        return [*answers, await one(), await one(), await one()]

    *refused, first, second, third = asyncio.run(take())
    assert [next(iter(answer.detail["limit"])) for answer in refused] == ["seconds", "seconds", "queue", "queue"]
    assert {answer.status_code for answer in refused} == {429}
    assert (first, second, third) == ("drawn",) * 3


def test_engines_take_the_whole_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def spy(_: Any, pictures: Sequence[Any], batch_size: int) -> list[Any]:
        sizes.append(batch_size)
        return [] * len(pictures)

    monkeypatch.setattr(FileDetector, "__call__", spy)
    monkeypatch.setattr(Predictor, "__call__", spy)
    file, run = FileDetector.__new__(FileDetector), Predictor.__new__(Predictor)
    file.names, run.categories = ("cat",), Categories(("cat",), (1,))
    pictures = [Image.new("RGB", (2, 2))] * 20
    for engine in (FileEngine(file), RunEngine(run)):
        engine(pictures)
    assert sizes == [20, 20]


def test_one_bad_picture_spoils_no_other() -> None:
    answers, sizes = asyncio.run(asked(Held(), [picture(), picture((90, 90))[:-40], picture()]))
    assert sizes == [1, 2]
    assert [type(answer) for answer in answers] == [Answer, Refused, Answer]


def test_a_fault_of_the_engine_reaches_who_asked_and_the_worker_goes_on() -> None:
    class Broken(Held):
        def __call__(self, pictures: Sequence[Image.Image]) -> list[list[Found]]:
            super().__call__(pictures)
            if len(self.batches) == 1:
                raise RuntimeError("broken")
            return [[] for _ in pictures]

    answers, _ = asyncio.run(asked(Broken(), [picture()] * 3))
    assert [type(answer) for answer in answers] == [RuntimeError, Answer, Answer]


def test_limits_that_are_none() -> None:
    with pytest.raises(InputError, match=r"body is 0; allowed: above 0"):
        Limits(body=0)
    with pytest.raises(InputError, match=r"wait is -1; allowed: at least 0"):
        Limits(wait=-1)
