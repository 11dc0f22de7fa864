from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from mmmc.serve import Found, make_app

from .conftest import LIMITS, Mute, picture

CAT = {"class": "cat", "score": 0.8, "box": [0, 0, 20, 10]}
DOG = {"class": "dog", "score": 0.3, "box": [0, 0, 1, 1]}


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


WAYS: dict[str, dict[str, Any]] = {
    "form": {"files": {"file": ("a.png", picture())}},
    "JSON": {"json": {"image": text(picture())}},
    "data URL": {"json": {"image": f"data:image/png;base64,{text(picture())}"}},
    "body": {"content": picture(), "headers": {"content-type": "image/png"}},
    "WebP": {"content": picture(kind="WEBP", lossless=True), "headers": {"content-type": "application/octet-stream"}},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_picture_comes_in_five_ways(client: TestClient, way: str) -> None:
    answer = client.post("/predict", **WAYS[way])
    assert answer.status_code == 200
    said = answer.json()
    assert said.pop("seconds") >= 0
    assert said == {"width": 20, "height": 10, "objects": [CAT, DOG]}


def test_thresholds(client: TestClient) -> None:
    assert client.post("/predict?threshold=0.31", **WAYS["body"]).json()["objects"] == [CAT]
    assert client.post("/predict?threshold=0.3", **WAYS["body"]).json()["objects"] == [CAT, DOG]
    assert client.post("/predict", json={"image": text(picture()), "threshold": 0.9}).json()["objects"] == []
    huge = client.post("/predict", json={"image": text(picture()), "threshold": 10**400})
    assert (huge.status_code, "allowed: 0 to 1" in huge.json()["error"]) == (422, True)
    for wrong in ("2", "-1", "nan", "high"):
        answer = client.post(f"/predict?threshold={wrong}", **WAYS["body"])
        assert (answer.status_code, answer.json()["error"]) == (422, f"threshold is '{wrong}'; allowed: 0 to 1.")


def test_exif_turns_the_picture(client: TestClient) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    answer = client.post("/predict", content=picture(kind="JPEG", exif=exif), headers={"content-type": "image/jpeg"})
    assert (answer.json()["width"], answer.json()["height"]) == (10, 20)


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is large and holds nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


RAW = {"content-type": "image/png"}
HOSTILE: dict[str, tuple[dict[str, Any], int, str]] = {
    "empty": ({"content": b"", "headers": RAW}, 415, "This is no picture"),
    "text": ({"content": b"hello", "headers": RAW}, 415, "This is no picture; allowed: JPEG, PNG"),
    "type": ({"content": b"hello", "headers": {"content-type": "text/plain"}}, 415, "Content-Type is 'text/plain'"),
    "no type": ({"content": b"hello"}, 415, "Content-Type is ''"),
    "truncated": ({"content": picture((90, 90))[:-40], "headers": RAW}, 422, "cannot be decoded"),
    "bomb": ({"content": bomb(30_000, 30_000), "headers": RAW}, 413, "allowed: 10000 pixels"),
    "larger": ({"content": bomb(101, 100), "headers": RAW}, 413, "allowed: 10000 pixels"),
    "scans": (
        {"content": picture(kind="JPEG")[:-2] + b"\xff\xda" * 64 + b"\xff\xd9", "headers": RAW},
        422,
        "The JPEG has too many scans; allowed: 64",
    ),
    "TIFF": ({"content": picture(kind="TIFF"), "headers": RAW}, 415, "This is no picture"),
    "body": ({"content": b"\0" * 20_001, "headers": RAW}, 413, "allowed: 20000 bytes"),
    "huge base64": ({"json": {"image": "A" * 70_000}}, 413, "allowed: 20000 bytes"),
    "huge body": ({"content": b"\0" * 100_000, "headers": RAW}, 413, "allowed: 20000 bytes"),
    "no base64": ({"json": {"image": "%%%"}}, 422, "image is not base64"),
    "URL": ({"json": {"image": "http://example.com/a.png"}}, 422, "URLs are not fetched"),
    "path": ({"json": {"image": "../../etc/passwd"}}, 422, "image is not base64"),
    "number": ({"json": {"image": 7}}, 422, "image is missing or no text"),
    "list": ({"json": []}, 422, "The JSON is no object"),
    "deep": ({"content": b"[" * 19_000, "headers": {"content-type": "application/json"}}, 400, "not JSON"),
    "no JSON": ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "not JSON"),
    "field": ({"json": {"image": text(picture()), "url": "x"}}, 422, "a field 'url'"),
    "form": ({"files": {"image": ("a.png", picture())}}, 422, "no file in the field 'file'"),
    "form text": ({"data": {"file": "a"}, "files": {"b": ("b", b"b")}}, 422, "no file in the field 'file'"),
    "two files": ({"files": [("file", ("a", b"a")), ("file", ("b", b"b"))]}, 400, "Too many files"),
    "no boundary": ({"content": b"a", "headers": {"content-type": "multipart/form-data"}}, 400, "form cannot be read"),
    "broken form": (
        {"content": b"--x\r\na", "headers": {"content-type": "multipart/form-data; boundary=x"}},
        422,
        "no file in the field",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_is_refused(client: TestClient, case: str) -> None:
    request, status, words = HOSTILE[case]
    answer = client.post("/predict", **request)
    assert (answer.status_code, words in answer.json()["error"]) == (status, True), answer.text
    assert client.post("/predict", **WAYS["body"]).status_code == 200


def test_what_a_form_says_beside_its_file(client: TestClient) -> None:
    form = {"files": {"file": ("a.png", picture())}}
    scores = [found["score"] for found in client.post("/predict", **form).json()["objects"]]
    assert len(scores) > 1
    fewer = client.post("/predict", **form, data={"threshold": str(max(scores))}).json()["objects"]
    assert [found["score"] for found in fewer] == [max(scores)]
    for more, words in (
        ({"threshold": "much"}, "threshold is 'much'; allowed: 0 to 1"),
        ({"foo": "1"}, "a field 'foo'"),
    ):
        answer = client.post("/predict", **form, data=more)
        assert (answer.status_code, words in answer.json()["error"]) == (422, True), answer.text


@pytest.mark.parametrize("path", ["/predict", "/figure/labels"])
def test_parameters_that_are_not_known_are_refused(client: TestClient, path: str) -> None:
    good = {"image": text(picture())} | ({} if path == "/predict" else {"boxes": [[1, 2, 3, 4]], "classes": ["dog"]})
    answer = client.post(f"{path}?foo=1", json=good)
    assert (answer.status_code, answer.json()["error"]) == (422, "There is a parameter 'foo' that is not known.")


def test_the_interface_says_what_is_answered(client: TestClient) -> None:
    said = client.get("/openapi.json").json()
    predict = said["paths"]["/predict"]["post"]
    assert predict["requestBody"]["content"].keys() == {
        "multipart/form-data", "application/json", "image/*", "application/octet-stream",
    }  # fmt: skip
    assert predict["responses"].keys() == {"200", "400", "408", "413", "415", "422", "429"}
    schemas = said["components"]["schemas"]
    models = {answer["content"]["application/json"]["schema"]["$ref"] for answer in predict["responses"].values()}
    assert models == {"#/components/schemas/PredictAnswer", "#/components/schemas/Refusal"}
    answer = client.post("/predict", **WAYS["body"]).json()
    assert answer.keys() == schemas["PredictAnswer"]["properties"].keys()
    assert answer["objects"][0].keys() == schemas["FoundObject"]["properties"].keys()
    nowhere, wrong = client.get("/none"), client.get("/predict")
    assert (nowhere.status_code, nowhere.json()) == (404, {"error": "Not Found"})
    assert (wrong.status_code, wrong.json(), wrong.headers["allow"]) == (405, {"error": "Method Not Allowed"}, "POST")


@pytest.mark.parametrize(
    "path", ["/page/../app.py", "/page/%2e%2e/app.py", "/page//etc/passwd", "/page/..%2fapp.py", "/none", "/.env"]
)
def test_paths_lead_nowhere(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_names_of_strangers_are_refused(client: TestClient) -> None:
    assert client.get("/health", headers={"host": "evil.example"}).status_code == 400


def test_figures(client: TestClient) -> None:
    good = {"image": text(picture()), "boxes": [[1, 2, 3.5, 4], [0, 0, 20, 10]], "classes": ["dog", "cat"]}
    answer = client.post("/figure/labels", json=good)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
    assert answer.text == "labels (20, 10) [[1, 2, 3.5, 4], [0, 0, 20, 10]] [1, 0]"
    for change, words in (
        ({"boxes": [[1, 2, 3, 4]]}, "two lists of one length"),
        ({"boxes": None}, "two lists of one length"),
        ({"boxes": [], "classes": []}, "There are 0 boxes; allowed: 1 to 3"),
        ({"boxes": [[0, 0, 1, 1]] * 4, "classes": ["cat"] * 4}, "There are 4 boxes"),
        ({"classes": ["cow", "cat"]}, "The class 'cow' is not known; allowed: cat, dog"),
        ({"classes": [["cat"], "cat"]}, "is not known"),
        ({"boxes": [[1, 2, 3, 4], [0, 0, 21, 10]]}, "[0, 0, 21, 10] is none of x1 < x2, y1 < y2 within 20 × 10 px"),
        ({"boxes": [[1, 2, 3, 4], [5, 0, 5, 10]]}, "is none of"),
        ({"boxes": [[1, 2, 3, 4], [True, 0, 5, 10]]}, "is none of"),
        ({"boxes": [[1, 2, 3, 4], "no"]}, "is none of"),
        ({"boxes": [[1, 2, 3, 4], [0, 0, 10**400, 10]]}, "is none of"),
        ({"more": 1}, "a field 'more'"),
    ):
        answer = client.post("/figure/labels", json=good | change)
        assert (answer.status_code, words in answer.json()["error"]) == (422, True), answer.text
    assert client.post("/figure/none", json=good).status_code == 404


def test_a_fault_of_ours_is_counted() -> None:
    class Broken(Mute):
        def __call__(self, pictures: Sequence[Image.Image]) -> list[list[Found]]:
            raise MemoryError(f"for {len(pictures)} pictures")

    with TestClient(make_app(Broken(), LIMITS), raise_server_exceptions=False) as client:
        assert client.post("/predict", **WAYS["body"]).status_code == 500
        assert 'mmmc_requests_total{path="/predict",status="500"} 1.0' in client.get("/metrics").text


def test_an_engine_that_cannot_draw_says_so() -> None:
    with TestClient(make_app(Mute(), LIMITS)) as client:
        assert client.get("/health").json()["figures"] == []
        answer = client.post("/figure/labels", json={})
        assert (answer.status_code, answer.json()["error"]) == (
            409,
            "Labels and losses are drawn for a run only; this is an exported file.",
        )


def test_health_metrics_and_interface(client: TestClient) -> None:
    client.post("/predict", **WAYS["body"])
    client.post("/predict", content=b"no", headers=RAW)
    health = client.get("/health").json()
    assert (health["status"], health["name"], health["classes"]) == ("ok", "grey", ["cat", "dog"])
    assert health["limits"]["body"] == LIMITS.body
    metrics = client.get("/metrics").text
    assert 'mmmc_requests_total{path="/predict",status="200"} 1.0' in metrics
    assert 'mmmc_requests_total{path="/predict",status="415"} 1.0' in metrics
    assert "mmmc_objects_total 2.0" in metrics
    assert {"/predict", "/figure/{figure}", "/health", "/metrics"} == set(client.get("/openapi.json").json()["paths"])
    page = client.get("/docs")
    assert "https://" not in page.text
    for path in ("/", "/page/page.js", "/page/page.css", "/page/icon.svg", "/swagger/swagger-ui-bundle.js"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "//" not in client.get("/").text.replace("http://www.w3.org", "").replace("://", "")
