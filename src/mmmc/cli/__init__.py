"""The command `mmmc`: verbs that call the functions of the package, nothing else."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from mmmc.errors import InputError, did_you_mean

VERBS = {
    "train": "train a detector on labelled pictures",
    "eval": "score a trained detector with COCO's measure",
    "export": "write a detector for ONNX Runtime or OpenVINO, without PyTorch",
    "serve": "serve a detector over HTTP, with a page for people",
    "predict": "find objects in pictures, videos, large pictures in tiles",
    "diagnose": "say what a detector loses, and what misalignment costs, as AP",
    "report": "write a run's report, one page with its pictures inside",
    "compare": "say by how much two detectors differ on the same pictures, and how sure that is",
    "show": "draw what a run sees: ground truth, predictions, labels, loss maps",
    "info": "count parameters and multiply-adds of a detector",
    "data": "check, convert, split, tile, count, shrink a set; make the embedded one",
    "recipes": "list the recipes, or print one",
    "assigners": "list the label assigners, or print the page of one",
    "doctor": "print what a bug report needs, and try what breaks most often",
    "study": "train plans of many runs, and make tables of their records",
}
"""Each verb's sentence. Its module is imported only when it is called, so that help comes at once."""

STATUS_INPUT = 2
STATUS_INTERRUPTED = 130

_MEMORY = (
    "Allowed: fewer or smaller pictures at once; to train, --train.accumulate 4 cuts each step into parts with the "
    "same result."
)
"""What helps where a GPU's memory is full."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line.

    Its exit status: 0; 1 for faults of a checked set and for pictures that were left out; 2 for bad input and a GPU
    whose memory is full; 130 when interrupted.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(_help())
        return 0
    if given[0] == "--version":
        from mmmc.environment import own_version

        print(f"mmmc {own_version()}")
        return 0
    # A class in a file of the user's may be named as `file:Class`, from the folder where the file lies.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        if given[0] == "--print_completion":
            from mmmc.cli.completion import script

            print(script(given[1:], VERBS))
            return 0
        if given[0] not in VERBS:
            raise InputError(f"There is no command {given[0]!r}.{did_you_mean(given[0], VERBS)}")
        return import_module(f"mmmc.cli.{given[0]}").run(given[1:]) or 0
    except (InputError, FloatingPointError) as error:
        print(f"mmmc: {error}", file=sys.stderr)
        return STATUS_INPUT
    except RuntimeError as error:
        # By its name, for PyTorch may not be there yet, and the verbs that need none stay quick.
        if type(error).__name__ != "OutOfMemoryError":
            raise
        print(f"mmmc: {str(error).partition(' GPU ')[0]} {_MEMORY}", file=sys.stderr)
        return STATUS_INPUT
    except KeyboardInterrupt:
        print("mmmc: interrupted.", file=sys.stderr)
        return STATUS_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output left, as `head` does.
        sys.stderr.close()
    return 0


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:<{width}}  {sentence}" for verb, sentence in VERBS.items())
    return (
        "usage: mmmc COMMAND …\n\n"
        "One-stage, anchor-free object detection: train, compare label assigners, see where labels land.\n\n"
        f"{verbs}\n\n`mmmc COMMAND --help` tells more. `mmmc --version` prints the version,\n"
        "`mmmc --print_completion bash` a script by which bash completes; zsh and tcsh can be named too."
    )
