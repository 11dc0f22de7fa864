"""Pictures behind addresses: a server of this machine that answers well, badly, slowly, without end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from mmmc.errors import InputError
from mmmc.predicting.fetch import fetch
from mmmc.predicting.sources import Source, find_sources


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        match self.path.split("?")[0]:
            case "/good":
                self.reply(b"abc" * 1000)
            case "/gone":
                self.send_error(404)
            case "/moved":
                self.send_response(302)
                self.send_header("Location", "/good")
                self.end_headers()
            case "/to-file":
                self.send_response(302)
                self.send_header("Location", "file:///etc/hostname")
                self.end_headers()
            case "/short":
                self.send_response(200)
                self.send_header("Content-Length", "5000")
                self.end_headers()
                self.wfile.write(b"abc")
            case "/endless":
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    for _ in range(100):
                        self.wfile.write(b"x" * 1000)
            case "/trickle":
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    for _ in range(100):
                        self.wfile.write(b"x")
                        time.sleep(0.05)
            case "/silent":
                time.sleep(1)

    def reply(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("no_proxy", "127.0.0.1")
        serving = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        thread = Thread(target=serving.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield f"http://127.0.0.1:{serving.server_port}"
        serving.shutdown()
        thread.join()
        serving.server_close()


def test_an_answer_and_a_redirection(server: str) -> None:
    assert fetch(f"{server}/good", limit=3000) == b"abc" * 1000
    assert fetch(f"{server}/moved") == b"abc" * 1000


BAD = {
    "/gone": "could not be fetched: HTTP Error 404",
    "/to-file": "could not be fetched: HTTP Error 302",
    "/short": "could not be fetched: 3 of 5000 bytes came",
    "/endless": "holds more than 0.00953674 MiB",
    "/trickle": "could not be fetched: it took too long",
    "/silent": "could not be fetched: it took too long",
}


@pytest.mark.parametrize("path", BAD)
def test_what_cannot_be_fetched_is_named(server: str, path: str) -> None:
    start = time.monotonic()
    with pytest.raises(InputError) as caught:
        fetch(f"{server}{path}", limit=10_000, timeout=0.4)
    assert str(caught.value).startswith(f"{server}{path} {BAD[path]}")
    assert time.monotonic() - start < 3


def test_nobody_there() -> None:
    with pytest.raises(InputError, match=r"http://127\.0\.0\.1:9/x could not be fetched: .*refused"):
        fetch("http://127.0.0.1:9/x")
    with pytest.raises(InputError, match=r"ftp://a/b cannot be fetched\. Allowed: .* http:// or https://"):
        fetch("ftp://a/b")
    with pytest.raises(InputError, match=r"could not be fetched"):
        fetch("http://")


def test_addresses_are_sources_with_safe_names() -> None:
    stems = {
        "https://a.org/b/cat.jpg?size=2": "cat",
        "http://a.org/..%2F..%2Fetc": "etc",
        "http://a.org/..%5C..%5Cetc": "etc",
        "HTTP://a.org": "a.org",
        "http://a.org/..": "a.org",
    }
    for address, stem in stems.items():
        (source,) = find_sources([address])
        assert (source, source.stem) == (Source(address, "address"), stem)
