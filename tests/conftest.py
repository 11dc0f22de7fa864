"""What tests of several folders share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tiny_run import train_tiny

from mmmc.data.synthetic import make_synthetic
from mmmc.files import alone

if TYPE_CHECKING:
    from tiny_export import Exported


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded set in little: 12 pictures of 64 × 64 to train on and 4 to score. Not to be written to."""
    return make_synthetic(tmp_path_factory.mktemp("sets") / "tiny", train=12, val=4, size=(64, 64))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is remembered of pictures goes to a folder of the tests, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MMMC_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_run(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of one epoch on `tiny_set`, by the command line. Not to be written to."""
    return train_tiny(tiny_set, tmp_path_factory.mktemp("runs") / "tiny")


@pytest.fixture(scope="session")
def tiny_rfa(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The weights of `tiny_run` with RFA that looks elsewhere in both towers, as a file."""
    from tiny_export import add_rfa

    return add_rfa(tiny_run / "best.safetensors", tmp_path_factory.mktemp("runs") / "rfa.safetensors")


@pytest.fixture(scope="session")
def exported(tiny_rfa: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """`tiny_rfa` as an ONNX file, by the command line. It takes PyTorch half a minute, so all processes share it."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the extra onnx")
    from tiny_export import Exported, export_tiny

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "exported"
    with alone(folder):
        if not (folder / "said").is_file():
            (folder / "said").write_text(export_tiny(tiny_rfa, folder / "tiny.onnx"))
    return Exported(folder / "tiny.onnx", tiny_rfa, (folder / "said").read_text())
