"""Requests that wait together go through the network together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from PIL import Image

from mmmc.data.pictures import from_any
from mmmc.serve.engine import Engine, Found
from mmmc.serve.limits import Limits, Refused, too_busy, too_late
from mmmc.serve.request import open_picture


@dataclass(frozen=True)
class Answer:
    """Size of a picture as displayed, and its objects, best first."""

    width: int
    height: int
    found: list[Found]


@dataclass(frozen=True)
class _Job:
    data: bytes
    answer: asyncio.Future[Answer]


class Batcher:
    """One worker that takes what waits, up to a batch, decodes it and asks the engine, in a thread of its own.

    Files wait undecoded, so that a full queue holds their bytes and no more.

    Args:
        engine: the detector.
        limits: sizes of batch and queue, seconds.
        seen: is told the size of each batch.
    """

    def __init__(self, engine: Engine, limits: Limits, seen: Callable[[int], None]) -> None:
        self.engine = engine
        self.limits = limits
        self.seen = seen
        self.lock = asyncio.Lock()
        self.queue: asyncio.Queue[_Job] = asyncio.Queue(limits.queue)
        self._waiting = 0  # for a turn

    async def ask(self, data: bytes) -> Answer:
        """The objects in a picture file.

        Raises:
            Refused: too many wait, it takes too long, or the picture cannot be decoded.
        """
        job = _Job(data, asyncio.get_running_loop().create_future())
        try:
            self.queue.put_nowait(job)
        except asyncio.QueueFull:
            raise too_busy(self.limits) from None
        try:
            # A job that was given up is skipped by the worker.
            return await asyncio.wait_for(job.answer, self.limits.seconds)
        except TimeoutError:
            raise too_late(self.limits) from None

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The engine for one who does not ask for objects, under the same limits.

        Raises:
            Refused: too many wait, or it takes too long.
        """
        if self._waiting >= self.limits.queue:
            raise too_busy(self.limits)
        self._waiting += 1
        try:
            await asyncio.wait_for(self.lock.acquire(), self.limits.seconds)
        except TimeoutError:
            raise too_late(self.limits) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self.lock.release()

    async def work(self) -> None:
        """Answer for ever."""
        while True:
            jobs = [job for job in await self._together() if not job.answer.done()]
            if not jobs:
                continue
            self.seen(len(jobs))
            try:
                async with self.lock:
                    answers = await asyncio.to_thread(self._answers, [job.data for job in jobs])
            except Exception as error:
                answers = [error] * len(jobs)
            for job, answer in zip(jobs, answers, strict=True):
                if job.answer.done():
                    continue
                if isinstance(answer, Exception):
                    job.answer.set_exception(answer)
                else:
                    job.answer.set_result(answer)

    async def _together(self) -> list[_Job]:
        jobs = [await self.queue.get()]
        try:
            async with asyncio.timeout(self.limits.wait):
                while len(jobs) < self.limits.batch:
                    jobs.append(await self.queue.get())
        except TimeoutError:
            pass
        return jobs

    def _answers(self, files: Sequence[bytes]) -> list[Answer | Exception]:
        pictures = [decoded(data, self.limits) for data in files]
        good = [picture for picture in pictures if isinstance(picture, Image.Image)]
        found = iter(self.engine(good) if good else [])
        return [
            picture if isinstance(picture, Refused) else Answer(picture.width, picture.height, next(found))
            for picture in pictures
        ]


def decoded(data: bytes, limits: Limits) -> Image.Image | Refused:
    """The picture in a file as displayed, or why there is none."""
    try:
        return Image.fromarray(from_any(open_picture(data, limits)).permute(1, 2, 0).numpy())
    except Refused as refused:
        return refused
    except Exception as error:  # damage makes Pillow's decoders raise almost anything
        return Refused(422, f"The picture cannot be decoded: {error}.".replace("..", "."))
