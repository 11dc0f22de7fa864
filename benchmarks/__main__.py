"""`python -m benchmarks`: what there is to measure, and what to do with measurements."""

from __future__ import annotations

import argparse
import ast
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from importlib import import_module
from pathlib import Path

from mmmc.errors import InputError, did_you_mean

SUITE = Path(__file__).parent / "suite"

VERBS = {
    "all": "Every benchmark but `gpu`, each in a fresh process, into a folder of JSON files.",
    "compare": "Two JSON files of one benchmark side by side; status 1 if the second is slower or bigger.",
    "report": "The goals and what the JSON files say of them, as it stands in docs/performance.md.",
    "cost": "What RFA and APS cost, which the paper calls nothing, as it stands in docs/reproduction.md.",
    "roofline": "What bounds a training step on a CPU: its convolutions at the rate of a large one, for the same page.",
    "rounds": "What fewer rounds of the mixture would decide otherwise, on the pictures of runs, for the same page.",
    "race": "AP per CPU minute: several detectors train on one set for the same time. Has verbs of its own.",
    "scaling": "What a training on COCO costs on paper, on 1, 8 and 64 GPUs, as it stands in docs/scaling.md.",
}
"""What is done besides; but for `all` each is the `main` of a module that is imported only when it is called."""

STATUS_INPUT = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status: 0, 1 where rows are missing or slower, 2 for bad input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] in ("-h", "--help"):
        print(overview())
        return 0
    name, rest = given[0], given[1:]
    try:
        if name in benchmarks():
            return measure(name, rest)
        if name == "all":
            return measure_all(rest)
        if name in VERBS:
            return import_module(f"benchmarks.{name}").main(rest)
        raise InputError(f"There is no benchmark {name!r}.{did_you_mean(name, [*benchmarks(), *VERBS])}")
    except InputError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return STATUS_INPUT


def benchmarks() -> dict[str, str]:
    """The sentence of each benchmark by its name; nothing is imported for it."""
    found = {}
    for file in sorted(SUITE.glob("*.py")):
        if file.stem != "__init__":
            found[file.stem] = (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").splitlines()[0]
    return found


def overview() -> str:
    """All names with their sentences."""
    width = max(map(len, [*benchmarks(), *VERBS]))
    lines = ["usage: python -m benchmarks NAME [options]", ""]
    lines += [f"  {name:<{width}}  {sentence}" for name, sentence in benchmarks().items()]
    lines += [""] + [f"  {name:<{width}}  {sentence}" for name, sentence in VERBS.items()]
    return "\n".join(
        [*lines, "", "`python -m benchmarks NAME --help` tells the options; those of all benchmarks are the same."]
    )


def options(name: str, parts: Sequence[str] = ()) -> argparse.ArgumentParser:
    """What every benchmark takes."""
    parser = argparse.ArgumentParser(
        f"python -m benchmarks {name}", description=benchmarks().get(name, VERBS.get(name))
    )
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes that end within seconds, to see that it runs")
    parser.add_argument("--threads", type=int, default=1, help="of each process (default: 1)")
    parser.add_argument("--rounds", type=int, help="that are measured at most")
    parser.add_argument("--seconds", type=float, help="after which no further round of a comparison begins")
    parser.add_argument("--within", type=float, help="half the interval of a ratio at which it counts as known (0.02)")
    parser.add_argument("--out", type=Path, help="JSON file to write; for `all` a folder")
    if name != "all":
        parser.add_argument("--picture", type=Path, help="PNG file to draw the rows into")
    if parts:
        parser.add_argument("--only", nargs="+", default=[], choices=parts, help="parts of the benchmark")
    return parser


def measure(name: str, arguments: Sequence[str]) -> int:
    """Run one benchmark, print its rows and write them."""
    # Imported here, so that the list and the help come at once, and fresh processes of a benchmark stay small.
    import torch

    from benchmarks import result
    from benchmarks.intervals import ENOUGH
    from benchmarks.setting import Setting

    module = import_module(f"benchmarks.suite.{name}")
    config = options(name, getattr(module, "PARTS", ())).parse_args(arguments)
    if config.device not in ("cpu", "cuda"):
        raise InputError(f"--device is {config.device!r}; allowed: cpu, cuda.")
    if config.device == "cuda" and getattr(module, "CPU_ONLY", False):
        raise InputError(f"--device is 'cuda'; allowed: cpu, for nothing of {name} runs on a device.")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device is 'cuda', but there is no CUDA device; allowed here: cpu.")
    for flag, least in (("threads", 1), ("rounds", 1), ("seconds", 0), ("within", 0)):
        if (value := getattr(config, flag)) is not None and value < least:
            raise InputError(f"--{flag} is {value}; allowed: at least {least}.")
    asked = {"most": config.rounds, "seconds": config.seconds, "within": config.within}
    asked = {key: value for key, value in asked.items() if value is not None}
    if config.rounds is not None:
        asked["least"] = min(config.rounds, ENOUGH)
    torch.set_num_threads(config.threads)
    only = tuple(getattr(config, "only", ()))
    command = shlex.join(["python", "-m", "benchmarks", name, *without_files(arguments)])
    found = result.Result(name, command, date.today().isoformat(), result.machine(), config.tiny)
    for row in module.run(Setting(torch.device(config.device), config.tiny, config.threads, asked, only)):
        found = replace(found, rows=(*found.rows, row))
        if config.out:
            result.write(found, config.out)
    print(result.table(found))
    if config.picture:
        from benchmarks.picture import draw

        draw(found, config.picture)
    return int(any(row.failed for row in found.rows))


def without_files(arguments: Sequence[str]) -> list[str]:
    """The arguments without those that say where the result goes."""
    kept, skip = [], False
    for argument in arguments:
        if skip or argument.startswith(("--out", "--picture")):
            skip = not skip and "=" not in argument
        else:
            kept.append(argument)
    return kept


def measure_all(arguments: Sequence[str]) -> int:
    """Run every benchmark but `gpu` in a process of its own; those that fail do not keep the others from running."""
    config = options("all").parse_args(arguments)
    if config.device != "cpu":
        raise InputError(f"--device is {config.device!r}; allowed: cpu. `python -m benchmarks gpu` measures a GPU.")
    folder = config.out or Path("benchmarks/results")
    failed = []
    for name in benchmarks():
        if name != "gpu":
            command = [sys.executable, "-m", "benchmarks", name, *without_files(arguments)]
            print(f"== {name}", flush=True)
            if subprocess.run([*command, "--out", str(folder / f"{name}.json")]).returncode:
                failed.append(name)
    if failed:
        print(f"benchmarks: {', '.join(failed)} did not succeed.", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
