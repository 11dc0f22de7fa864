"""The page in a real browser."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn

from mmmc.serve import make_app

from .conftest import Grey, picture

api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium (Debian: apt install chromium)")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(make_app(Grey(), name="cats"), log_level="error"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        deadline = time.monotonic() + 20
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def page(address: str) -> Iterator["api.Page"]:
    with api.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1100, "height": 800})
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page
        browser.close()
        assert [text for text in faults if "415" not in text] == []
        assert [url for url in asked if not url.startswith((address, "blob:", "data:"))] == []


def test_from_a_picture_to_its_json(page: "api.Page", tmp_path: Path) -> None:
    expect = api.expect
    expect(page.locator("#name")).to_have_text("cats")
    files = [
        {"name": "one.png", "mimeType": "image/png", "buffer": picture((200, 100))},
        {"name": "two.png", "mimeType": "image/png", "buffer": picture((60, 120), grey=100)},
    ]
    page.set_input_files("#files", files)
    expect(page.locator("#status")).to_contain_text("two.png: 0 objects above 0.50")
    # Keyboard: the picture before, then a threshold that lets the dog in.
    page.locator("#canvas").press("ArrowLeft")
    expect(page.locator("#status")).to_contain_text("one.png: 1 objects above 0.50")
    assert page.evaluate("[canvas.width, canvas.height]") == [200, 100]
    expect(page.locator("#objects tr")).to_have_text("cat0.8000200100")
    page.locator("#threshold").fill("0.1")
    expect(page.locator("#objects tr")).to_have_count(2)
    expect(page.locator("#least")).to_have_text("0.10")
    page.get_by_role("checkbox", name="dog").uncheck()
    expect(page.locator("#objects tr")).to_have_count(1)
    with page.expect_download() as download:
        page.locator("#save").click()
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    said = json.loads(file.read_text())
    assert file.name == "one.json"
    assert [entry["class"] for entry in said["objects"]] == ["cat"]
    assert (said["file"], said["threshold"]) == ("one.png", 0.1)


def test_labels_are_drawn_by_hand(page: "api.Page") -> None:
    page.set_input_files("#files", [{"name": "a.png", "mimeType": "image/png", "buffer": picture((200, 100))}])
    page.locator("#explain summary").click()
    page.locator("#labels").click()
    api.expect(page.locator("#status")).to_have_text("Draw a box first, or take what was found.")
    frame = page.locator("#canvas").bounding_box()
    scale = frame["width"] / 200
    page.mouse.move(frame["x"] + 20 * scale, frame["y"] + 10 * scale)
    page.mouse.down()
    page.mouse.move(frame["x"] + 120 * scale, frame["y"] + 60 * scale)
    page.mouse.up()
    page.locator("#take").click()
    with page.expect_request("**/figure/losses") as request:
        page.locator("#losses").click()
    said = request.value.post_data_json
    assert said["classes"] == ["cat", "cat"]
    assert said["boxes"][0] == pytest.approx([20, 10, 120, 60], abs=1)
    assert said["boxes"][1] == [0, 0, 200, 100]


def two_pictures(page: "api.Page") -> None:
    """Both, the second shown, whose thumbnail is the last."""
    page.set_input_files(
        "#files",
        [{"name": f"{name}.png", "mimeType": "image/png", "buffer": picture((200, 100))} for name in ("one", "two")],
    )
    api.expect(page.locator("#status")).to_contain_text("two.png: 1 objects")


def test_a_drawing_that_comes_late_is_not_shown_under_another_picture(page: "api.Page") -> None:
    two_pictures(page)
    page.locator("#explain summary").click()
    page.locator("#take").click()
    waiting: list[api.Route] = []
    page.route("**/figure/losses", lambda route: waiting.append(route))
    with page.expect_request("**/figure/losses"):
        page.locator("#losses").click()
    page.locator("#pictures button").first.click()
    with page.expect_response("**/figure/losses"):
        waiting[0].fulfill(status=200, content_type="image/png", body=picture())
    api.expect(page.locator("#status")).to_contain_text("one.png")
    api.expect(page.locator("#drawn")).to_be_hidden()
    # Under its own picture it is shown.
    page.unroute("**/figure/losses")
    page.route("**/figure/losses", lambda route: route.fulfill(content_type="image/png", body=picture()))
    page.locator("#take").click()
    page.locator("#losses").click()
    api.expect(page.locator("#drawn")).to_be_visible()


def test_a_thumbnail_keeps_the_focus(page: "api.Page") -> None:
    two_pictures(page)
    page.locator("#pictures button").first.focus()
    page.keyboard.press("Enter")
    api.expect(page.locator("#status")).to_contain_text("one.png")
    api.expect(page.locator("#pictures button").first).to_be_focused()


def test_a_box_stays_on_the_picture_that_it_was_begun_on(page: "api.Page") -> None:
    two_pictures(page)
    page.locator("#explain summary").click()
    frame = page.locator("#canvas").bounding_box()
    page.mouse.move(frame["x"] + 5, frame["y"] + 5)
    page.mouse.down()
    page.mouse.move(frame["x"] + 50, frame["y"] + 40)
    page.set_input_files("#files", [{"name": "three.png", "mimeType": "image/png", "buffer": picture((60, 120))}])
    api.expect(page.locator("#pictures button")).to_have_count(3)
    page.mouse.up()
    api.expect(page.locator("#status")).to_contain_text("two.png")
    assert page.evaluate("pictures.map((picture) => picture.labels.length)") == [0, 1, 0]


def test_a_picture_can_be_swiped_over_unless_boxes_are_drawn(page: "api.Page") -> None:
    two_pictures(page)
    touch = "getComputedStyle(canvas).touchAction"
    assert page.evaluate(touch) == "auto"
    page.locator("#explain summary").click()
    api.expect(page.locator("#canvas")).to_have_class("draws")
    assert page.evaluate(touch) == "none"


def test_faults_are_said(page: "api.Page") -> None:
    page.set_input_files(
        "#files",
        [
            {"name": "a.png", "mimeType": "image/png", "buffer": b"no picture"},
            {"name": "b.png", "mimeType": "image/png", "buffer": picture()},
        ],
    )
    api.expect(page.locator("#status.fault")).to_contain_text("a.png: This is no picture; allowed: JPEG")
    api.expect(page.locator("#pictures button")).to_have_count(1)


def test_a_narrow_screen_needs_no_sideways_scrolling(page: "api.Page") -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.set_input_files("#files", [{"name": "a.png", "mimeType": "image/png", "buffer": picture((200, 100))}])
    api.expect(page.locator("#objects tr")).to_have_count(1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_the_interface_is_described_without_the_network(page: "api.Page", address: str) -> None:
    page.goto(f"{address}/docs")
    api.expect(page.locator("#operations-default-predict_predict_post")).to_be_visible()
