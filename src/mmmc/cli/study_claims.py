"""`mmmc study claims`."""

from __future__ import annotations

from collections.abc import Sequence

from mmmc.cli.arguments import parse, verb_parser
from mmmc.cli.study_plans import add_choice, plans_of
from mmmc.markdown import markdown_table
from mmmc.study.claims import Finding, findings


def print_claims(arguments: Sequence[str]) -> None:
    """Print what the paper claims, what the runs of plans say of it, and how they are run again."""
    parser = verb_parser(
        "study claims",
        "The paper's claims as a Markdown table: what is printed, what was seen on each set with its interval, and a "
        "verdict by one rule. What no record tells has the command that makes it.",
    )
    parser.add_argument("--plan", dest="plans", type=str, nargs="+", required=True, metavar="PLAN", help="YAML files")
    add_choice(parser)
    config = parse(parser, arguments)
    print(_markdown(findings(plans_of(config, config.plans))))


def _markdown(told: Sequence[Finding]) -> str:
    head = ["", "claim", "the paper", "of", "printed", "set", "ours", "verdict", "again"]
    lines = []
    before = None
    number = 0
    for finding in told:
        claim, row = finding.claim, finding.row
        number += claim is not before
        told_once = ["", "", ""] if claim is before else [str(number), claim.text, claim.paper]
        before = claim
        printed = "–" if row.printed is None else f"{row.printed:+.1f}{row.unit}"
        mean, _, rest = str(finding.found).partition(" ")
        ours = "–" if finding.found is None else f"{mean}{row.unit} {rest}"
        verdict = finding.verdict if finding.found is None else f"**{finding.verdict}**"
        lines.append([*told_once, row.what, printed, finding.set, ours, verdict, _code(finding.again)])
    return markdown_table(head, lines, "rlllrlrll").rstrip("\n")


def _code(again: str) -> str:
    """The command of a sentence as code."""
    before, found, command = again.rpartition("mmmc study")
    return f"{before}`{found}{command}`" if found else "no plan given has its variants"
