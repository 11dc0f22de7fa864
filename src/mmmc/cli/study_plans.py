"""Plans as commands of `mmmc study` name them."""

from __future__ import annotations

import re

from jsonargparse import ArgumentParser, Namespace

from mmmc.errors import InputError
from mmmc.study.plan import Plan, read_plan


def add_choice(parser: ArgumentParser) -> None:
    """What of the plans is meant."""
    parser.add_argument("--data", type=str | None, default=None, help="another folder than the plan's")
    parser.add_argument("--seeds", type=list[int], default=[], help="others than the plan's, as [0,1,2]")
    parser.add_argument("--only", type=str, nargs="+", default=[], metavar="NAME", help="these variants alone")
    parser.add_argument(
        "--shard", type=str, default="1/1", metavar="K/N", help="of N equal shares of the runs the K-th, from 1"
    )


def plans_of(config: Namespace) -> list[Plan]:
    """The plans that a command line names, as it wants them."""
    shard = _shard(config.shard)
    return [
        read_plan(path, data=config.data, seeds=config.seeds, only=config.only, shard=shard) for path in config.plans
    ]


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--shard is {text!r}; allowed: K/N with K from 1 to N, such as 2/4.")
    return int(match[1]), int(match[2])
