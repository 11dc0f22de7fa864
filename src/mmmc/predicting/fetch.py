"""A picture behind an address, with a limit on its size and on the time it takes."""

from __future__ import annotations

import time
from http.client import HTTPException
from io import BufferedIOBase
from urllib.error import HTTPError
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from mmmc.errors import InputError

LIMIT = 50 * 2**20
"""Bytes of an encoded picture."""

TIMEOUT = 20.0
"""Seconds for the whole answer."""

_PART = 2**16


def is_address(text: str) -> bool:
    """Whether this is an http or https address."""
    return text.lower().startswith(("http://", "https://"))


def fetch(address: str, *, limit: int = LIMIT, timeout: float = TIMEOUT) -> bytes:
    """What an http or https address answers with. Nothing but http and https is spoken, also after a redirection.

    Args:
        address: the address.
        limit: most bytes.
        timeout: seconds until the whole answer is here.

    Raises:
        InputError: another kind of address, no answer, an error, too large, too slow; names the address.
    """
    if not is_address(address):
        raise InputError(f"{address} cannot be fetched. Allowed: addresses that begin with http:// or https://.")
    deadline = time.monotonic() + timeout
    try:
        request = Request(address, headers={"User-Agent": "mmmc"})
        with _opener().open(request, timeout=timeout) as answer:
            content = read_limited(answer, limit, address, deadline)
            announced = answer.headers.get("Content-Length")
    except TimeoutError:
        raise _too_slow(address) from None
    except (OSError, HTTPException, ValueError) as error:
        if isinstance(error, InputError):
            raise
        if isinstance(getattr(error, "reason", None), TimeoutError):
            raise _too_slow(address) from None
        if isinstance(error, HTTPError):
            error.close()  # it is an open answer too
        raise InputError(f"{address} could not be fetched: {error}.") from error
    # http.client says nothing of an answer that ends early when it is read in parts.
    if announced is not None and announced.isdigit() and len(content) < int(announced):
        raise InputError(f"{address} could not be fetched: {len(content)} of {announced} bytes came.")
    return content


def read_limited(stream: BufferedIOBase, limit: int, name: str, deadline: float = float("inf")) -> bytes:
    """All that a stream gives.

    Raises:
        InputError: more bytes than `limit`, or not all before `deadline` (of `time.monotonic`).
    """
    content = bytearray()
    # One read of the system at a time, so that a sender who trickles is noticed.
    while part := stream.read1(_PART):
        content += part
        if len(content) > limit:
            raise InputError(f"{name} holds more than {limit / 2**20:g} MiB. Allowed: encoded pictures up to that.")
        if time.monotonic() > deadline:
            raise _too_slow(name)
    return bytes(content)


def _too_slow(name: str) -> InputError:
    return InputError(f"{name} could not be fetched: it took too long.")


def _opener() -> OpenerDirector:
    """Urllib's, without its handlers of ftp, of files and of data in the address."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler,
        HTTPHandler,
        HTTPSHandler,
        HTTPDefaultErrorHandler,
        HTTPRedirectHandler,
        HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
