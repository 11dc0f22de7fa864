"""`mmmc doctor`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from mmmc import doctor, environment, evaluate
from mmmc.cli import main
from mmmc.model import rfa

Capture = pytest.CaptureFixture[str]


def test_a_sound_installation(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture) -> None:
    monkeypatch.setenv("MMMC_DATA", str(tmp_path))
    monkeypatch.setenv("MMMC_CACHE", str(tmp_path / "none"))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert main(["doctor", "--json"]) == 0
    text = capsys.readouterr().out
    found = json.loads(text)
    assert found["packages"]["torch"] == torch.__version__.split("+")[0]
    assert (found["threads"], found["OMP_NUM_THREADS"]) == (torch.get_num_threads(), "3")
    assert (found["MMMC_DATA"], found["MMMC_CACHE"]) == ("set, a folder", "set, but there is no such folder")
    assert "pytest" in found["optional packages"]
    assert "timm" in found["packages"]
    assert [trial["fault"] for trial in found["trials"]] == ["", "", ""]
    assert str(tmp_path) not in text
    assert main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert said.count("works: ") == 3
    assert f"  torchvision {torchvision.__version__.split('+')[0]}" in said


def test_what_does_not_work_is_named(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    right = rfa.deform_rows
    monkeypatch.setattr(rfa, "deform_rows", lambda *given: right(*given) + 0.5)
    assert main(["doctor"]) == 1
    assert "FAILED: RFA's two backends say the same: they differ by 0.5" in capsys.readouterr().out
    monkeypatch.setattr(rfa, "deform_rows", right)
    monkeypatch.setattr(evaluate, "score", lambda *_: 1 / 0)
    assert main(["doctor", "--json"]) == 1
    faults = [trial["fault"] for trial in json.loads(capsys.readouterr().out)["trials"]]
    assert faults == ["", "", "ZeroDivisionError: division by zero"]
    monkeypatch.setattr("torchvision.ops.batched_nms", lambda *_: torch.tensor([0, 1, 2]))
    assert main(["doctor"]) == 1
    assert "non-maximum suppression: kept boxes [0, 1, 2] instead of" in capsys.readouterr().out


def test_a_broken_installation_is_no_crash() -> None:
    program = "import sys; sys.modules['torch'] = None; from mmmc.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("FAILED: ") == 3
    assert "threads: unknown: ModuleNotFoundError" in done.stdout
    assert done.stderr == ""


def test_flags(capsys: Capture) -> None:
    assert main(["doctor", "--jsn"]) == 2
    assert "allowed: --json." in capsys.readouterr().err


def test_without_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_: str) -> str:
        raise doctor.PackageNotFoundError

    monkeypatch.setattr(doctor, "requires", missing)
    monkeypatch.setattr(environment, "version", missing)
    found = doctor.surroundings()
    assert found["mmmc"] is None
    assert found["packages"] == {"torch": None, "torchvision": None, "timm": None}
    assert found["backbone weights"].startswith("not there")
