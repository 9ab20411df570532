"""Whatever comes in, `carbrand serve` answers in JSON, and no name of a photo gets out of it."""

from __future__ import annotations

import http.client
import json
import random
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from carbrand.serve.upload import MAX_PARTS
from tests.support.serving import Server, a_photo, serving

SECRET = "secret-holiday"
FORM = "multipart/form-data; boundary=cut"
NAMED = b'Content-Disposition: form-data; name="x"; filename="secret-holiday.png"'
TEXT = b'Content-Disposition: form-data; name="photo"\r\n\r\n secret-holiday '


def form(*parts: bytes) -> bytes:
    return b"".join(b"--cut\r\n" + part + b"\r\n" for part in parts) + b"--cut--\r\n"


def file_part(photo: bytes, head: bytes = NAMED) -> bytes:
    return head + b"\r\n\r\n" + photo


def post(body: bytes, type: str = FORM, head: bytes = b"") -> bytes:
    """A request as bytes."""
    start = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: {type}\r\n".encode()
    return start + head + b"Content-Length: %d\r\n\r\n" % len(body) + body


def talk(server: Server, request: bytes, patience_s: float = 20.0) -> tuple[int, bytes]:
    """Status and body of the answer to raw bytes; (0, b"") where there is none in time."""
    with socket.create_connection(("127.0.0.1", server.port), patience_s) as connection:
        with suppress(OSError):  # answered and closed already
            connection.sendall(request)
        response = http.client.HTTPResponse(connection)
        try:
            response.begin()
            return response.status, response.read()
        except (http.client.HTTPException, OSError):
            return 0, b""


@pytest.fixture(scope="module")
def server(_finished) -> Iterator[Server]:
    """One server for all of them: what it has printed is looked at in the end."""
    with serving(_finished) as server:
        yield server
        assert server.end(signal.SIGTERM)[1:] == ("", "")


@pytest.mark.parametrize(
    "name", [b'name="photo"', b'name="file"', b'name=""', b'name="\xc3\xa9 \\" x"', b"name=photo"]
)
def test_the_files_of_a_form_are_taken_whatever_their_fields_are_called(server, name):
    photo = a_photo()
    head = b"Content-Disposition: form-data; " + name + b'; filename="a.png"'
    body = form(TEXT, TEXT + b"more", file_part(photo, head), file_part(a_photo(3)))
    first, second = server.predict(body, Content_Type=FORM)["predictions"]
    assert first["brand"] == server.predict(photo)["brand"]
    assert second["brand"] == server.predict(a_photo(3))["brand"]


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Disposition: form-data; name=x; filename*=UTF-8''secret-holiday%2Epng",
        b"Content-Disposition: attachment; FILENAME=secret-holiday.png",
        b'Content-Disposition: form-data; name="x"; filename*0="secret-"; filename*1="holiday"',
        b'Content-Disposition: form-data; name="x"\r\nContent-Type: image/png',
        b"Content-Type: application/octet-stream",
        b'Content-Disposition: ;;bad header; filename="secret-holiday.png"',
        b'Content-Disposition: form-data; filename="secret\x1b[31m-holiday.png"',
    ],
)
def test_a_part_says_in_many_ways_that_it_is_a_file(server, head):
    status, said = talk(server, post(form(TEXT, file_part(a_photo(), head))))
    assert status in (200, 400), said  # a control character is no header
    assert status == 200 or b"\x1b" in head
    assert SECRET.encode() not in said


def test_a_field_without_a_chosen_file_is_passed_over(server):
    nothing = b'Content-Disposition: form-data; name="x"; filename=""'
    octets = b"Content-Type: application/octet-stream"
    body = form(file_part(b"", nothing + b"\r\n" + octets), file_part(a_photo()))
    assert talk(server, post(body))[0] == 200


REFUSED: dict[str, tuple[bytes, int, str]] = {
    "no file": (post(form(TEXT)), 400, "The form has no file. Send the photo"),
    "no part": (post(b"--cut--\r\n"), 400, "has no file"),
    "an empty file": (post(form(file_part(b""))), 400, "has no photo"),
    "a file that is no photo": (post(form(file_part(b"x"))), 415, "none of JPEG"),
    "another form": (
        post(form(b"Content-Type: multipart/mixed; boundary=in\r\n\r\n--in--")),
        *(400, "has a nested form"),
    ),
    "a long part header": (
        post(form(file_part(b"x", NAMED + b"; x=" + b"y" * 9000))),
        *(400, "The request is malformed"),
    ),
    "a long name": (
        post(form(file_part(b"x", b'A: b; filename="' + b"secret-holiday" * 700 + b'"'))),
        *(400, "The request is malformed"),
    ),
    "many part headers": (post(form(file_part(b"x", b"A: b\r\n" * 200 + NAMED))), 400, "malformed"),
    "many parts": (post(form(*[TEXT] * (MAX_PARTS + 1))), 400, "more than 100 parts"),
    "a header without a colon": (post(form(file_part(b"x", b"secret-holiday"))), 400, "malformed"),
    "no boundary": (post(form(file_part(b"x")), "multipart/form-data"), 400, "malformed"),
    "a long boundary": (post(b"x", f"multipart/form-data; boundary={'b' * 99}"), 400, "malformed"),
    "another boundary": (post(b"--secret-holiday\r\n\r\nx"), 400, "malformed"),
    "no end": (post(b"--cut\r\n" + NAMED + b"\r\n\r\nxyz"), 400, "malformed"),
    "a charset": (
        post(form(b'Content-Disposition: form-data; name="_charset_"\r\n\r\n\xff' + b"x" * 40)),
        *(400, "malformed"),
    ),
    "base64": (
        post(form(file_part(b"eA==", NAMED + b"\r\nContent-Transfer-Encoding: base64"))),
        *(415, "encoded"),
    ),
    "a packed body": (post(b"x", head=b"Content-Encoding: gzip\r\n"), 415, "encoded"),
    "no HTTP": (b"\x16\x03\x01 secret-holiday\r\n\r\n", 400, "not a valid HTTP request"),
    "a long address": (
        b"GET /" + b"secret-holiday" * 1000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        *(400, "not a valid HTTP request"),
    ),
    "a long header": (
        post(b"x", head=b"X: " + b"secret-holiday" * 700 + b"\r\n"),
        400,
        "not a valid HTTP request",
    ),
    "a broken header": (post(b"x", head=b"secret-holiday\r\n"), 400, "not a valid HTTP request"),
    "two lengths": (post(b"x", head=b"Content-Length: 99\r\n"), 400, "not a valid HTTP request"),
    "a strange length": (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: secret-holiday\r\n\r\n",
        *(400, "not a valid HTTP request"),
    ),
    "a broken chunk": (
        b"POST /predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"secret-holiday\r\n",
        *(400, ""),
    ),
    "an expectation": (post(b"x", head=b"Expect: secret-holiday\r\n"), 417, "Expectation Failed"),
    "an address in percent": (
        b"GET /%73ecret-holiday%0aerror%1b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        *(404, "Not found"),
    ),
    "a method": (
        b"SECRET-HOLIDAY / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        *(400, "not a valid HTTP request"),
    ),
    "a method that is not here": (
        b"DELETE /secret-holiday HTTP/1.1\r\nHost: localhost\r\n\r\n",
        *(404, "Not found"),
    ),
    "an expectation elsewhere": (
        b"GET /secret-holiday HTTP/1.1\r\nHost: localhost\r\nExpect: secret-holiday\r\n\r\n",
        *(404, ""),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_json_that_quotes_nothing(server, case):
    request, status, words = REFUSED[case]
    got, said = talk(server, request)
    assert got in (status, 417) if case == "an expectation elsewhere" else got == status, said
    (sentence,) = json.loads(said).values()
    assert words in sentence
    assert SECRET not in said.decode().lower()


def mutated(request: bytes, draws: random.Random) -> bytes:
    """The request with a few bytes changed, left out, doubled, or in another place."""
    data = bytearray(request)
    for _ in range(draws.randint(1, 4)):
        at, end = sorted(draws.choices(range(len(data)), k=2))
        end = min(end, at + 40)
        match draws.randrange(4):
            case 0:
                data[at] = draws.choice(b'\0\r\n:;="-\xff\x1b,%*')
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * draws.choice((1, 300))
            case _:
                data[at:at] = draws.choice((b"\r\n", b"\r\n\r\n", b"--cut", b"; filename*=", b"\0"))
    return bytes(data)


def test_no_mutated_request_is_a_fault_of_the_server(server):
    draws = random.Random(0)
    small = form(TEXT, file_part(b"no photo " * 9))
    statuses = []
    for number in range(400):
        request = post(mutated(small, draws))
        if number % 10 == 0:  # the head too: then the server may wait for more of the body
            status, said = talk(server, mutated(request, draws), 0.5)
        else:
            status, said = talk(server, request)
        statuses.append(status)
        assert status == 0 or 400 <= status < 500 or status == 503, (number, status, said)
        assert status == 0 or json.loads(said)["error"], number
        assert SECRET not in said.decode(), number
    assert statuses.count(0) < 40
    assert statuses.count(415) > 20
    assert statuses.count(400) > 100
