"""The command, with a real run behind a real socket."""

from __future__ import annotations

import io
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import httpx
import pytest
from PIL import Image

import mmmc
from mmmc.cli import main

from .conftest import picture

if TYPE_CHECKING:
    from tiny_export import Exported


@contextmanager
def serving(*arguments: object, log: IO[str] | None = None) -> Iterator[str]:
    """The address of `mmmc serve`, with its other channel in a file if there is one; it ends well when interrupted."""
    command = [sys.executable, "-m", "mmmc", "serve", *map(str, arguments), "--port", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ) as run:
        assert run.stdout is not None
        address = re.match(r"http://127\.0\.0\.1:\d+", run.stdout.readline())
        assert address is not None
        try:
            yield address.group()
        finally:  # or a test that fails would wait for the server for ever
            run.send_signal(signal.SIGINT)
        assert run.wait(30) in (0, 130, -signal.SIGINT)


@pytest.fixture(scope="module")
def server(tiny_run: Path) -> Iterator[str]:
    with serving(tiny_run, "--upload_seconds", 0.5) as address:
        yield address


def test_it_answers_as_the_predictor_does(server: str, tiny_run: Path, tiny_set: Path) -> None:
    file = sorted((tiny_set / "images").iterdir())[0]
    said = httpx.post(f"{server}/predict", content=file.read_bytes(), headers={"content-type": "image/jpeg"}).json()
    predictor = mmmc.load(tiny_run)
    (found,) = predictor([file])
    assert [entry["class"] for entry in said["objects"]] == [predictor.categories.names[i] for i in found.labels]
    assert [entry["score"] for entry in said["objects"]] == pytest.approx(found.scores.tolist(), abs=1e-5)
    for entry, box in zip(said["objects"], found.boxes.tolist(), strict=True):
        assert entry["box"] == pytest.approx(box, abs=1e-2)


def test_malformed_forms_do_not_fill_the_log(tiny_run: Path, tmp_path: Path) -> None:
    file, kind = tmp_path / "log", {"content-type": "multipart/form-data; boundary=y"}
    with file.open("w") as log, serving(tiny_run, log=log) as address:
        for body in (b"--x\r\nno", b"--y\r\nno", b"--y\r\nContent-Disposition: form-data; name=f\r\n\r\n--y!!"):
            assert 400 <= httpx.post(f"{address}/predict", content=body, headers=kind).status_code < 500
        said = file.read_text()  # before it is interrupted, which it says
    assert said == ""


def test_an_exported_file_is_served_as_it_answers(exported: Exported, tiny_set: Path) -> None:
    from mmmc import runtime

    file = sorted((tiny_set / "images").iterdir())[0]
    detector = runtime.load(exported.file)
    (found,) = detector([file])
    assert len(found)
    with serving(exported.file) as address:
        health = httpx.get(f"{address}/health").json()
        data, kind = file.read_bytes(), {"content-type": "image/jpeg"}
        said = httpx.post(f"{address}/predict?threshold=0", content=data, headers=kind, timeout=60).json()
    assert (health["name"], health["classes"], health["figures"]) == ("tiny.onnx", list(detector.names), [])
    assert [entry["class"] for entry in said["objects"]] == [detector.names[i] for i in found.labels]
    assert [entry["score"] for entry in said["objects"]] == pytest.approx(found.scores.tolist(), abs=1e-5)
    for entry, box in zip(said["objects"], found.boxes.tolist(), strict=True):
        assert entry["box"] == pytest.approx(box, abs=1e-2)


@pytest.mark.parametrize("flags", [["--weights", "last"], ["--device", "cuda"]])
def test_flags_of_runs_are_not_for_files(flags: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "a.onnx", *flags]) == 2
    said = capsys.readouterr().err
    assert f"{flags[0]} is {flags[1]}; an exported file" in said


def test_a_file_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", str(tmp_path / "a.onnx")]) == 2
    assert f"There is no file {tmp_path}/a.onnx" in capsys.readouterr().err


@pytest.mark.parametrize("figure", ["labels", "losses"])
def test_figures_are_drawn(server: str, figure: str, tiny_set: Path) -> None:
    import base64

    data = sorted((tiny_set / "images").iterdir())[0].read_bytes()
    names = httpx.get(f"{server}/health").json()["classes"]
    body = {"image": base64.b64encode(data).decode(), "boxes": [[8, 8, 50, 40]], "classes": names[:1]}
    answer = httpx.post(f"{server}/figure/{figure}", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    with Image.open(io.BytesIO(answer.content)) as drawn:
        assert drawn.format == "PNG"
        assert min(drawn.size) > 100


def test_a_slow_body_is_cut_off(server: str) -> None:
    host, port = server.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(
            b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: image/png\r\nContent-Length: 99\r\n\r\na"
        )
        began = time.monotonic()
        answer = slow.recv(4096)
    assert answer.startswith(b"HTTP/1.1 408")
    assert 0.3 < time.monotonic() - began < 5
    good = httpx.post(f"{server}/predict", content=picture(), headers={"content-type": "image/png"})
    assert good.status_code == 200


def test_bad_flags(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        for flags, words in (
            (["--port", "99999"], "--port is 99999; allowed: 0 to 65535"),
            (["--port", str(port)], f"--port {port} cannot be listened on"),
            (["--host", "no.such.host.invalid"], "--host no.such.host.invalid"),
            (["--body", "0"], "body is 0; allowed: above 0"),
        ):
            assert main(["serve", str(tiny_run), *flags]) == 2
            assert words in capsys.readouterr().err


def test_without_its_packages(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert main(["serve", "none"]) == 2
    assert "mmmc serve needs uvicorn: pip install 'mmmc[serve]'" in capsys.readouterr().err
