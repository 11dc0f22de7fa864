"""What a shell completes: the script in a shell of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmmc.cli import VERBS, main
from mmmc.recipe import recipe_names

ASK = """
source "$1"
shift
for line in "$@"; do
  read -ra COMP_WORDS <<< "$line"
  [ "${line: -1}" = " " ] && COMP_WORDS+=("")
  COMP_CWORD=$(( ${#COMP_WORDS[@]} - 1 ))
  COMP_TYPE=9
  _shtab_mmmc mmmc "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  echo "${COMPREPLY[@]}"
done
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="the script is for bash, which is not here")
def test_bash_completes_verbs_flags_and_values(tmp_path: Path) -> None:
    (tmp_path / "script").write_text(script("bash"))
    wanted = {
        "mmmc ": list(VERBS),
        "mmmc dia": ["diagnose"],
        "mmmc data t": ["tile"],
        "mmmc data tile --ov": ["--overlap"],
        "mmmc data tile --rest ": ["crowd", "drop"],
        "mmmc study table --fo": ["--format"],
        "mmmc train cells --recipe small_m": [name for name in recipe_names() if name.startswith("small_m")],
        "mmmc train --optimizer.schedule c": ["cosine"],
        "mmmc train --assigner mmmc.assign.AT": ["mmmc.assign.ATSS"],
    }
    done = subprocess.run(
        ["bash", "-c", ASK, "bash", str(tmp_path / "script"), *wanted], capture_output=True, text=True, check=True
    )
    found = dict(zip(wanted, (line.split() for line in done.stdout.splitlines()), strict=True))
    assert found == wanted


def script(shell: str) -> str:
    """In a process of its own: all types of all verbs are looked at, which takes long where each call is checked."""
    return subprocess.check_output([sys.executable, "-m", "mmmc", "--print_completion", shell], text=True)


def test_other_shells(capsys: pytest.CaptureFixture[str]) -> None:
    assert script("zsh").startswith("#compdef mmmc")
    assert main(["--print_completion", "fish"]) == 2
    assert (
        "--print_completion is 'fish', no shell. Did you mean 'zsh'? Allowed: bash, tcsh, zsh."
        in capsys.readouterr().err
    )
    # To a verb it means nothing.
    assert main(["recipes", "--print_completion"]) == 2
    assert "print_completion" in capsys.readouterr().err
