"""Training steps of `small` in one process and, on the same batch, in two (gloo).

Efficiency is the time in one process over twice that in two. Each process has one thread, and each round starts fresh
processes; their start does not count.
"""

from __future__ import annotations

import multiprocessing
import os
import socket
import statistics
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial

import torch
from lightning_fabric import Fabric

from benchmarks.detectors import methods, noise
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.steps import Step
from benchmarks.suite.step import BATCHES, OBJECTS
from benchmarks.timing import interleaved, timed

CPU_ONLY = True
WARMUP, STEPS = 2, 7


def run(setting: Setting) -> list[Row]:
    """Median seconds of a step, for each round."""
    rivals = {f"{world} process{'es' if world > 1 else ''}": partial(together, world, setting) for world in (1, 2)}
    effort = setting.effort(warmup=0, most=9, seconds=60, within=0.03)
    return interleaved(rivals, {"2 processes": "1 process"}, effort)


def together(world: int, setting: Setting) -> float:
    """Median seconds of a step that so many processes take together."""
    port = free_port()
    with ProcessPoolExecutor(world, multiprocessing.get_context("spawn")) as pool:
        # Each waits for the others, so no process can take the part of two.
        return max(pool.map(partial(member, world=world, port=port, setting=setting), range(world)))


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def become_rank(rank: int, world: int, port: int) -> None:
    """Say to this process what torchrun says to those that it starts, all of them on one machine."""
    os.environ.update(
        TORCHELASTIC_RUN_ID="mmmc",
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        LOCAL_WORLD_SIZE=str(world),
        GROUP_RANK="0",
    )


def member(rank: int, *, world: int, port: int, setting: Setting) -> float:
    """Median seconds of a step as one of the processes sees them."""
    torch.set_num_threads(1)
    if world > 1:
        become_rank(rank, world, port)
    fabric = Fabric(accelerator="cpu", devices=world)
    fabric.launch()
    pictures, size, classes = BATCHES["small"]
    batch = noise(pictures, OBJECTS, (64, 96) if setting.tiny else size, classes)
    share = replace(batch, images=batch.images[rank::world], targets=batch.targets[rank::world])
    step = Step(methods("small", tiny=setting.tiny)["FCOS"], share, classes, fabric.device, fabric=fabric)
    clock = timed(step, fabric.device)
    seconds = [clock() for _ in range(WARMUP + (2 if setting.tiny else STEPS))][WARMUP:]
    if world > 1:
        torch.distributed.destroy_process_group()
    return statistics.median(seconds)
