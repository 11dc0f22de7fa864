"""Plans as commands of `mmmc study` name them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jsonargparse import ArgumentParser, Namespace

from mmmc.errors import InputError, did_you_mean
from mmmc.study.plan import Plan, read_plan


def add_choice(parser: ArgumentParser) -> None:
    """What of the plans is meant."""
    parser.add_argument("--data", type=str | None, default=None, help="another folder than the plan's")
    parser.add_argument("--seeds", type=list[int], default=[], help="others than the plan's, as [0,1,2]")
    parser.add_argument(
        "--records",
        type=str | None,
        default=None,
        metavar="FILE",
        help="another file than the plan's: with a folder of its own (--out) what is recorded is run again",
    )
    parser.add_argument("--only", type=str, nargs="+", default=[], metavar="NAME", help="these variants alone")
    parser.add_argument(
        "--shard", type=str, default="1/1", metavar="K/N", help="of N equal shares of the runs the K-th, from 1"
    )


def plans_of(config: Namespace, paths: Sequence[str]) -> list[Plan]:
    """The plans of these files, as a command line with the options of `add_choice` wants them."""
    given = {name: config[name] for name in ("data", "seeds", "records")}
    plans = [read_plan(path, **given, shard=_shard(config.shard)) for path in paths]
    return _chosen(plans, config.only) if config.only else plans


def _chosen(plans: Sequence[Plan], names: Sequence[str]) -> list[Plan]:
    """These variants of the plans alone; a plan that has none of them is left out."""
    known = list(dict.fromkeys(name for plan in plans for name in plan.recipes))
    for name in names:
        if name not in known:
            where = ", ".join(str(plan.path) for plan in plans)
            raise InputError(f"{where}: there is no variant {name!r}.{did_you_mean(name, known)}")
    return [found for plan in plans if (found := plan.only(names)).recipes]


def _shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if match is None or not 1 <= int(match[1]) <= int(match[2]):
        raise InputError(f"--shard is {text!r}; allowed: K/N with K from 1 to N, such as 2/4.")
    return int(match[1]), int(match[2])
