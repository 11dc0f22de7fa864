"""From sources to detections and annotated copies, one after the other."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from itertools import islice, takewhile
from pathlib import Path
from threading import Event

from jaxtyping import Float, UInt8
from torch import Tensor

from mmmc import draw
from mmmc.data.tiling import Tiling
from mmmc.errors import InputError
from mmmc.files import in_place
from mmmc.gallery import save_image
from mmmc.predicting.copies import MARK, check_copies
from mmmc.predicting.formats import Found
from mmmc.predicting.sources import Source
from mmmc.predicting.tiles import detect_tiled
from mmmc.predicting.video import Frame, Video, write_video
from mmmc.predictor import Predictor
from mmmc.rgb import of_any_size
from mmmc.structures import Detections


@dataclass(frozen=True)
class Options:
    """How sources are predicted.

    Args:
        thresholds: least score of each class; infinite for a class that is not wanted.
        batch_size: pictures, frames or tiles that go through the network at once.
        tiling: how each picture is cut; `None` for not.
        every: of a video, every so many frames.
        limit: most frames of each video that are predicted; `None` for all. A camera has no end of its own.
        draw: write annotated copies.
        frames: the annotated frames of a video as pictures instead of as a video.
    """

    thresholds: Float[Tensor, " C"]
    batch_size: int = 8
    tiling: Tiling | None = None
    every: int = 1
    limit: int | None = None
    draw: bool = True
    frames: bool = False

    def __post_init__(self) -> None:
        for name in ("batch_size", "every", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"--{name} is {value}; allowed: at least 1.")


class Unusable(InputError):
    """A source cannot be read or decoded; the others can."""


@dataclass
class Job:
    """Sources that are predicted one by one, while `found` and `failed` grow.

    A source that cannot be read or decoded is noted in `failed` with the reason, and the next one has its turn. What
    was found in a video before it turned out damaged does not count, and nothing of its copy stays.

    Args:
        predictor: the detector.
        options: how.
        out: folder of the annotated copies.
        names: what files about each source are called.
        told: called after each picture and frame.
    """

    predictor: Predictor
    options: Options
    out: Path
    names: dict[Source, str]
    told: Callable[[], object] = lambda: None
    found: list[Found] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def run(self) -> None:
        """Predict all of them, in their order.

        Raises:
            InputError: a copy cannot be written, or would take the place of a file that is none.
        """
        if self.options.draw:
            check_copies({source: self._copy(source) for source in self.names})
        waiting: list[tuple[Source, Tensor]] = []
        for source in self.names:
            try:
                if source.moving:
                    self._pictures(waiting)
                    self._video(source)
                else:
                    waiting.append((source, _read(source, tiled=self.options.tiling is not None)))
            except Unusable as error:
                self.failed[source.name] = str(error)
            if len(waiting) == self.options.batch_size:
                self._pictures(waiting)
        self._pictures(waiting)

    def _pictures(self, waiting: list[tuple[Source, Tensor]]) -> None:
        for (source, image), found in zip(waiting, self._detect([image for _, image in waiting]), strict=True):
            if self.options.draw:
                save_image(self._drawn(image, found), self._copy(source), comment=MARK)
            self._keep(source, image, found)
        waiting.clear()

    def _video(self, source: Source) -> None:
        already = len(self.found)
        try:
            with _opened(source) as video, _interruption(source) as interrupted:
                images = self._annotated(source, takewhile(lambda _: not interrupted.is_set(), self._frames(video)))
                if not self.options.draw:
                    for _ in images:
                        pass
                elif self.options.frames:
                    _save_frames(images, self._copy(source), self.options.every)
                else:
                    with in_place(self._copy(source)) as temporary:
                        write_video(temporary, images, video.rate / self.options.every, comment=MARK)
        except OSError as error:
            del self.found[already:]
            raise InputError(f"{self._copy(source)} could not be written: {error}.") from error
        except BaseException:
            del self.found[already:]
            raise

    def _frames(self, video: Video) -> Iterator[Frame]:
        try:
            yield from islice(video.frames(self.options.every), self.options.limit)
        except InputError as error:
            raise Unusable(str(error)) from error

    def _annotated(self, source: Source, frames: Iterator[Frame]) -> Iterator[UInt8[Tensor, "3 H W"]]:
        """The frames with what is found on them, which is kept on the way; bare where no copies are wanted."""
        # A camera does not wait for a batch to fill.
        while chunk := list(islice(frames, 1 if source.kind == "camera" else self.options.batch_size)):
            for frame, found in zip(chunk, self._detect([frame.image for frame in chunk]), strict=True):
                self._keep(source, frame.image, found, frame)
                yield self._drawn(frame.image, found) if self.options.draw else frame.image

    def _detect(self, images: list[Tensor]) -> list[Detections]:
        options = self.options
        if options.tiling is None:
            return [one.above(options.thresholds) for one in self.predictor(images, batch_size=options.batch_size)]
        return [
            detect_tiled(
                self.predictor, image, options.tiling, threshold=options.thresholds, batch_size=options.batch_size
            )
            for image in images
        ]

    def _drawn(self, image: UInt8[Tensor, "3 H W"], found: Detections) -> UInt8[Tensor, "3 H W"]:
        return draw.detections(image, found, self.predictor.categories.names, threshold=0.0)

    def _copy(self, source: Source) -> Path:
        """The annotated copy of a source: a picture, a video, or a folder of frames."""
        suffix = ".jpg" if not source.moving else "" if self.options.frames else ".mp4"
        return self.out / f"{self.names[source]}{suffix}"

    def _keep(self, source: Source, image: Tensor, found: Detections, frame: Frame | None = None) -> None:
        copy, name = self._copy(source), self.names[source]
        if frame is not None:
            name = f"{name}/{frame.number:06d}"
            copy = _frame_copy(copy, frame.number) if self.options.frames else copy
        self.found.append(
            Found(
                file=source.name,
                name=name,
                size=(image.shape[1], image.shape[2]),
                detections=replace(found, image_id=len(self.found)),
                copy=copy.relative_to(self.out).as_posix() if self.options.draw else None,
                frame=None if frame is None else frame.number,
                time=None if frame is None else frame.time,
            )
        )
        self.told()


def _read(source: Source, *, tiled: bool) -> Tensor:
    # What an address answers with is not as sure to be meant as a file of one's own.
    any_size = tiled and source.kind != "address"
    try:
        with of_any_size() if any_size else nullcontext():
            return source.read()
    except InputError as error:
        raise Unusable(str(error)) from error


def _opened(source: Source) -> Video:
    try:
        return Video(source)
    except InputError as error:
        raise Unusable(str(error)) from error


@contextmanager
def _interruption(source: Source) -> Iterator[Event]:
    """Set once Ctrl-C is pressed, which is how a camera ends; elsewhere it interrupts as ever."""
    interrupted = Event()
    if source.kind != "camera":
        yield interrupted
        return
    before = signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, before)


def _save_frames(images: Iterator[UInt8[Tensor, "3 H W"]], folder: Path, every: int) -> None:
    """All frames as pictures, or none: what is written is taken back where a later one fails."""
    written: list[Path] = []
    try:
        for index, image in enumerate(images):
            written.append(save_image(image, _frame_copy(folder, index * every), comment=MARK))
    except BaseException:
        for path in written:
            path.unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _frame_copy(folder: Path, number: int) -> Path:
    return folder / f"{number:06d}.jpg"
