"""The command itself: help without delay, and a status for every end."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from mmmc.cli import VERBS, main, recipes
from mmmc.errors import InputError


def test_help_needs_no_heavy_library() -> None:
    script = (
        "import sys; from mmmc.cli import main; status = main(['--help'])\n"
        "assert not {'torch', 'numpy', 'jsonargparse', 'rich', 'matplotlib'} & set(sys.modules)\n"
        "sys.exit(status)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)


def test_bad_input_ends_a_process_with_status_2_and_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-m", "mmmc", "trian"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mmmc: There is no command 'trian'. Did you mean 'train'?")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (InputError("no such thing"), 2, "mmmc: no such thing\n"),
        (FloatingPointError("not finite"), 2, "mmmc: not finite\n"),
        (KeyboardInterrupt(), 130, "mmmc: interrupted.\n"),
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of …"),
            2,
            "mmmc: CUDA out of memory. Tried to allocate 2.00 GiB. Allowed: fewer or smaller pictures at once; to "
            "train, --train.accumulate 4 cuts each step into parts with the same result.\n",
        ),
    ],
)
def test_status(
    error: BaseException,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(recipes, "run", fail)
    assert main(["recipes"]) == status
    assert capsys.readouterr().err == message


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "run", lambda _: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        main(["recipes"])


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main([verb, "--help"])
    except SystemExit as end:
        status = end.code  # type: ignore[assignment]
    assert status == 0
    assert capsys.readouterr().out.startswith(f"usage: mmmc {verb}")


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("mmmc 0")
