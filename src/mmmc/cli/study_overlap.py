"""`mmmc study overlap`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from rich.console import Console
from rich.table import Table

from mmmc.cli.arguments import device, own_set, parse, verb_parser
from mmmc.cli.study_plans import add_choice, plans_of
from mmmc.errors import InputError
from mmmc.misalignment.overlap import PARTS, LabelOverlap, label_overlap
from mmmc.predictor import Predictor, scored_batches
from mmmc.study import beside
from mmmc.study.plan import Plan, Run
from mmmc.study.process import record_of


def measure(arguments: Sequence[str]) -> None:
    """Say how far labels of finished runs overlap with those of other rules, by how misaligned the objects are."""
    parser = verb_parser(
        "study overlap",
        "Overlap of a run's labels with those of other rules on the same predictions, in thirds of the scored objects "
        "of each size by their gap: the IoU that the best-scored point of an object falls short of the best. Kept in a "
        "file beside the plan's records, beside what was measured there before with other rules.",
    )
    parser.add_argument("plans", type=str, nargs="+", metavar="PLAN", help="YAML files whose runs are looked at")
    add_choice(parser)
    parser.add_argument(
        "--assigners",
        type=str,
        default="atss,paa",
        help="the other rules, as for `mmmc show --assigners` (default: those of the paper's Figure 3)",
    )
    parser.add_argument("--out", type=str, default="runs/study", help="folder of the run folders")
    parser.add_argument("--device", type=str, default="auto", help="cpu, cuda, cuda:1 …, or auto")
    config = parse(parser, arguments)
    out = Path(config.out)
    absent = []
    for plan in plans_of(config, config.plans):
        known = plan.recorded()
        for run in plan.runs():
            record = record_of(out, run.folder)
            if record is None:
                # What is recorded is not trained again, unless its record goes to another file.
                again = ("--records", str(out / "again.jsonl")) if run.identity in known else ()
                command = plan.command([run.name], [run.seed], options=(*again, "--out", str(out)))
                absent.append(f"{out / run.folder} holds no finished run. It is trained by: {command}")
                continue
            found = _look(plan, run, record, config)
            Console().print(_table(run, found))
    if absent:
        raise InputError("\n".join(absent))


def _look(plan: Plan, run: Run, record: Mapping[str, Any], config: Namespace) -> LabelOverlap:
    """Measure a run and keep its record."""
    predictor = Predictor.load(Path(config.out) / run.folder, weights="last", device=device(config.device))
    others = beside.rules(config.assigners, run.recipe)
    pictures = own_set(predictor, run.recipe.data)
    found = label_overlap(predictor, others, scored_batches(predictor, pictures, 1))
    beside.keep(plan, beside.OVERLAP, {**record, "name": run.name, "set": run.set}, found.metrics(), others)
    return found


def _table(run: Run, found: LabelOverlap) -> Table:
    numbers = found.metrics()
    table = Table("", *PARTS, title=f"{run.name}, {run.set}, seed {run.seed}", title_justify="left")
    for name, title in (("gap", "gap of the objects"), *((name, f"overlap with {name}") for name in found.overlap)):
        values = [numbers[f"{name}_{part}"] for part in PARTS]
        table.add_row(title, *("–" if value is None else f"{value:.2f}" for value in values))
    return table
