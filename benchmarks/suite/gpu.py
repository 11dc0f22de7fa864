"""All that a GPU can show in nine minutes: the other benchmarks on it, large batches, graphs, waits for it.

Ends within nine minutes: parts for which the time does not suffice are left out, and say so. A part that fails says
why, the others go on, and the status is 1. Each row is written as it comes, so what was measured outlasts a machine
that goes away. Without a CUDA device the same code runs on a CPU, but for what only CUDA
has.
"""

from __future__ import annotations

import gc
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from benchmarks.detectors import PICTURE, Inference, built, methods, noise, noise_samples
from benchmarks.memory import Peak
from benchmarks.result import Row, remembering, renamed
from benchmarks.setting import Setting
from benchmarks.steps import AssignersShare, Step
from benchmarks.suite import assigners, deformable, detector, step, torchvision
from benchmarks.timing import interleaved, timed
from mmmc.data.batching import Sample
from mmmc.model import Detector

BUDGET = 400.0
"""Seconds after which no further part begins; the longest, the last, compiles for up to two minutes."""

EACH = 6.0
"""Seconds of one comparison."""

Call = Callable[[], object]
ONLY_CUDA = "needs a CUDA device"
CLASSES, OBJECTS = 80, 20


def run(setting: Setting) -> Iterator[Row]:
    """The rows of all parts, one after the other."""
    setting = replace(setting, asked={"seconds": EACH, **setting.asked})
    began = time.perf_counter()
    for name, part in PARTS.items():
        if not setting.wants(name):
            continue
        if time.perf_counter() - began > BUDGET:
            yield Row(name, skipped=f"{BUDGET:.0f} seconds were used up")
            continue
        try:
            yield from renamed(part(replace(setting, only=())), f"{name}: ")
        except Exception as error:  # one part must not cost the others: a GPU may be there once
            traceback.print_exc()
            yield Row(name, skipped=f"{type(error).__name__}: {str(error)[:300]}", failed=True)
        gc.collect()
        torch.cuda.empty_cache()


def inference(setting: Setting) -> list[Row]:
    """Pictures of one size through FCOS, MMMC and torchvision's FCOS in bf16, with post-processing and peak memory."""
    size = (64, 96) if setting.tiny else PICTURE
    recipes = methods("r50", tiny=setting.tiny)

    def ours(name: str, samples: list[Sample]) -> Call:
        return Inference(built(recipes[name], CLASSES, setting.device), samples, "bf16", setting.device)

    def theirs(samples: list[Sample]) -> Call:
        model = torchvision.torchvision_fcos(size).to(setting.device)
        return torchvision.TheirInference(model, samples, "bf16", setting.device)

    rows = []
    for pictures in (1, 2) if setting.tiny else (1, 16):
        samples = noise_samples(pictures, 0, size, CLASSES)
        builders: dict[str, Callable[[], Call]] = {name: partial(ours, name, samples) for name in ("FCOS", "MMMC")}
        builders["torchvision's FCOS"] = partial(theirs, samples)
        rows += against_first(builders, setting, f", batch {pictures}, bf16")
    return rows


def training(setting: Setting) -> list[Row]:
    """Training steps of a large batch in bf16 with peak memory, and APS's share of MMMC's."""
    pictures, size = (2, (64, 96)) if setting.tiny else (16, PICTURE)
    batch = noise(pictures, OBJECTS, size, CLASSES)
    recipes = methods("r50", tiny=setting.tiny)
    padded = (batch.images.shape[2], batch.images.shape[3])

    def ours(name: str) -> Call:
        return Step(recipes[name], batch, CLASSES, setting.device, precision="bf16")

    def theirs() -> Call:
        return torchvision.TheirStep(torchvision.torchvision_fcos(padded), batch, "bf16", setting.device)

    builders: dict[str, Callable[[], Call]] = {name: partial(ours, name) for name in ("FCOS", "MMMC")}
    builders["torchvision's FCOS"] = theirs
    rows = against_first(builders, setting, f", batch {pictures}, bf16")
    share = AssignersShare(recipes["MMMC"], batch, CLASSES, setting.device, precision="bf16")
    name = f"APS's share, batch {pictures}, bf16"
    return rows + interleaved({name: share}, {}, setting.effort(most=9), unit="1")


def products(setting: Setting) -> list[Row]:
    """MMMC's step with RFA's matrix products in float32, as they are, and in TF32, as convolutions have them."""
    pictures, size = (2, (64, 96)) if setting.tiny else (16, PICTURE)
    batch = noise(pictures, OBJECTS, size, CLASSES)
    one = Step(methods("r50", tiny=setting.tiny)["MMMC"], batch, CLASSES, setting.device, precision="bf16")
    clocks = {
        f"MMMC, {form}, batch {pictures}, bf16": timed(partial(with_products, form, one), setting.device)
        for form in ("float32", "TF32")
    }
    first, second = clocks
    return interleaved(clocks, {second: first}, setting.effort())


def with_products(form: str, run: Call) -> None:
    """Call it while a device multiplies matrices in this form."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = form == "TF32"
    try:
        run()
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def against_first(builders: Mapping[str, Callable[[], Call]], setting: Setting, suffix: str) -> list[Row]:
    """Rows of rivals against the first; memory is what building one and calling it once needs at most."""
    memory, clocks = {}, {}
    for name, build in builders.items():
        with Peak(setting.device) as peak:
            call = build()
            call()
        memory[name + suffix] = peak.extra
        clocks[name + suffix] = timed(call, setting.device)
    first, *others = clocks
    return remembering(interleaved(clocks, dict.fromkeys(others, first), setting.effort()), memory)


def replayed(setting: Setting) -> list[Row]:
    """The detector alone, a picture in bf16: eager, and as a CUDA graph."""
    return beside_eager(setting, "CUDA graph", captured)


def compiled(setting: Setting) -> list[Row]:
    """The detector alone, a picture in bf16: eager, and through `torch.compile`."""
    return beside_eager(setting, "torch.compile", through_compiler)


def beside_eager(setting: Setting, name: str, make: Callable[[Detector, Tensor], Call]) -> list[Row]:
    """Another form of the detectors' forward passes beside the usual one."""
    images = noise(1, 0, (64, 96) if setting.tiny else PICTURE, CLASSES).images.to(setting.device)
    rows = []
    for method in ("FCOS", "MMMC"):
        network = built(methods("r50", tiny=setting.tiny)[method], CLASSES, setting.device).eval()
        runs: dict[str, Call] = {f"{method}, eager": partial(forward, network, images)}
        row = f"{method}, {name}"
        if setting.device.type != "cuda":
            rows.append(Row(row, skipped=ONLY_CUDA))
        else:
            try:
                runs[row] = make(network, images)
                runs[row]()
            except Exception as error:  # whether a version of PyTorch can do it is the question
                runs.pop(row, None)
                rows.append(Row(row, skipped=f"{type(error).__name__}: {str(error)[:300]}"))
        clocks = {form: timed(run, setting.device) for form, run in runs.items()}
        first, *others = clocks
        rows += interleaved(clocks, dict.fromkeys(others, first), setting.effort(warmup=3))
    return rows


@torch.no_grad()
def forward(network: Detector, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What a detector predicts, as plain tensors."""
    with torch.autocast(images.device.type, torch.bfloat16, cache_enabled=False):
        _, prediction = network(images)
    return prediction.logits, prediction.boxes, prediction.quality


def through_compiler(network: Detector, images: Tensor) -> Call:
    """The forward pass as `torch.compile` makes it."""
    return partial(torch.compile(forward), network, images)


def captured(network: Detector, images: Tensor) -> Call:
    """The forward pass as a CUDA graph that is replayed."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            forward(network, images)
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        forward(network, images)
    return graph.replay


def waits(setting: Setting) -> list[Row]:
    """Training steps of which any that waits for the device is an error."""
    rows = []
    pictures, size, classes = step.BATCHES["small"]
    batch = noise(pictures, OBJECTS, (64, 96) if setting.tiny else size, classes)
    for method, recipe in methods("small", tiny=setting.tiny).items():
        if setting.device.type != "cuda":
            rows.append(Row(method, skipped=ONLY_CUDA))
            continue
        one = Step(recipe, batch, classes, setting.device, precision="bf16")
        one()
        try:
            rows += interleaved(
                {method: timed(partial(never_waiting, one), setting.device)}, {}, setting.effort(most=10)
            )
        except RuntimeError as error:
            rows.append(Row(method, skipped=str(error)[:300], failed=True))
    return rows


def never_waiting(run: Call) -> None:
    """Call it; whatever waits for the device in between raises."""
    try:
        torch.cuda.set_sync_debug_mode("error")
        run()
    finally:
        torch.cuda.set_sync_debug_mode("default")


def crowds(setting: Setting) -> list[Row]:
    """Every assigner; a device tells memory apart by itself, so all run in this process."""
    return [row for name in assigners.PARTS for row in assigners.measure(name, setting)]


PARTS: dict[str, Callable[[Setting], list[Row]]] = {
    "waits": waits,
    "training": training,
    "inference": inference,
    "replayed": replayed,
    "products": products,
    "step": step.run,
    "torchvision": torchvision.run,
    "detector": detector.run,
    "deformable": deformable.run,
    "assigners": crowds,
    "compiled": compiled,
}
