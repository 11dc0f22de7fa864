"""`mmmc doctor`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict

from mmmc.doctor import surroundings, trials
from mmmc.errors import InputError


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise InputError(f"{message}; allowed: --json.")


def run(arguments: Sequence[str]) -> int:
    """Print the environment and try what breaks most often; 1 if something does not work."""
    # Not jsonargparse, which may be what is broken.
    parser = _Parser(
        prog="mmmc doctor",
        allow_abbrev=False,
        description="Print what a bug report needs: versions, processor, memory, threads, devices, optional packages; "
        "and try RFA, non-maximum suppression and COCO's measure on tiny cases. Ends with status 1 if one fails. "
        "No names of users, hosts or folders are printed.",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    config = parser.parse_args(list(arguments))
    found, tried = surroundings(), trials()
    if config.json:
        print(json.dumps({**found, "trials": [asdict(trial) for trial in tried]}, indent=2))
    else:
        for name, value in found.items():
            if isinstance(value, dict):
                print(f"{name}:")
                print("\n".join(f"  {package} {version or 'not there'}" for package, version in value.items()))
            else:
                shown = ", ".join(map(str, value)) if isinstance(value, list) else value
                print(f"{name}: {'–' if shown in (None, '') else shown}")
        for trial in tried:
            print(f"{'FAILED' if trial.fault else 'works'}: {trial.name}{f': {trial.fault}' if trial.fault else ''}")
    return 1 if any(trial.fault for trial in tried) else 0
