"""What depends on the moment, asked of a server that answers when it is told to."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from carbrand.serve.connection import format_traceback
from carbrand.serve.start_page import render_page
from carbrand.serve.upload import MAX_PHOTOS_HELD, Uploads
from carbrand.serve.workers import Workers
from tests.support.serving import Answering, until, visit


def test_the_page_needs_no_other_file_and_escapes_brands():
    page = render_page(["<b>", "bolt & sons"], 20).html.decode("utf-8")
    assert "&lt;b&gt;</span>, <span" in page
    assert "bolt &amp; sons" in page
    assert not re.search(r'(?:src|href)="(?!data:)', page)
    assert "http" not in page
    assert "@import" not in page


def test_when_the_queue_is_full_the_next_is_told_to_come_back_later():
    async def talk(client: TestClient, answering: Answering) -> None:
        asked = [asyncio.create_task(client.post("/predict", data=b"%d" % n)) for n in range(3)]
        done, waiting = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        (turned_away,) = [await task for task in done]
        assert turned_away.status == 503
        assert turned_away.headers["Retry-After"] == "1"
        assert "Try again" in (await turned_away.json())["error"]
        answering.may.set()
        assert [(await task).status for task in waiting] == [200, 200]
        assert (await client.post("/predict", data=b"later")).status == 200

    visit(Uploads(100), Workers(threads=1, queue_length=1), talk)


def test_who_goes_away_while_waiting_is_never_begun_and_leaves_their_place():
    async def talk(client: TestClient, answering: Answering) -> None:
        first = asyncio.create_task(client.post("/predict", data=b"first"))
        await until(lambda: answering.begun == [b"first"])
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.post("/predict", data=b"gone"), 0.5)
        answer = None
        while answer is None or answer.status == 503:  # until the place is seen to be free
            last = asyncio.create_task(client.post("/predict", data=b"last"))
            await asyncio.wait([last], timeout=0.2)
            if not last.done():
                answering.may.set()
            answer = await last
        assert (await answer.json())["brand"] == "last"
        assert (await (await first).json())["brand"] == "first"
        assert answering.begun == [b"first", b"last"]

    visit(Uploads(100), Workers(threads=1, queue_length=1), talk)


def test_a_photo_that_does_not_come_in_is_given_up():
    async def talk(client: TestClient, _answering: Answering) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nabc")
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
        writer.close()

    visit(Uploads(100, timeout_s=0.2), Workers(1), talk)


def test_photos_that_come_in_may_not_fill_the_memory_and_free_it_again():
    async def talk(client: TestClient, answering: Answering) -> None:
        asked = [
            asyncio.create_task(client.post("/predict", data=b"%d" % n * 100))
            for n in range(MAX_PHOTOS_HELD)
        ]
        await until(lambda: len(answering.begun) == MAX_PHOTOS_HELD)
        assert (await client.post("/predict", data=b"x")).status == 503
        answering.may.set()
        assert {(await task).status for task in asked} == {200}
        assert (await client.post("/predict", data=b"x" * 100)).status == 200

    visit(Uploads(100), Workers(MAX_PHOTOS_HELD), talk)


def test_a_fault_of_the_server_is_told_and_costs_one_request(caplog):
    async def talk(client: TestClient, answering: Answering) -> None:
        answering.may.set()
        failed = await client.post("/predict", data=b"\xff")  # which `decode` does not like
        assert failed.status == 500
        assert "see the terminal" in (await failed.json())["error"]
        assert "UnicodeDecodeError" in caplog.text
        assert (await client.post("/predict", data=b"good")).status == 200

    visit(Uploads(100), Workers(1), talk)


SECRET = "secret-holiday"


@contextmanager
def failing(how: Callable[[bytes], object]) -> Iterator[None]:
    def fail(_self: Answering, photo: bytes, _heatmap: bool) -> object:
        try:
            return how(photo)
        except KeyError as error:
            raise ValueError(photo) from error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Answering, "__call__", fail)
        yield


def test_a_fault_of_the_server_is_told_without_what_was_sent(caplog):
    async def ask(client: TestClient, _answering: Answering) -> None:
        assert (await client.post("/predict", data=SECRET.encode())).status == 500
        assert "KeyError" in caplog.text
        assert "ValueError" in caplog.text
        assert "in fail" in caplog.text
        assert SECRET not in caplog.text

    nothing: dict[bytes, object] = {}
    with failing(nothing.__getitem__):
        visit(Uploads(100), Workers(1), ask)


def test_a_traceback_names_places_and_kinds_only():
    try:
        raise web.HTTPBadRequest(text=SECRET)
    except web.HTTPException as error:
        said = format_traceback(error)
    assert said.endswith("HTTPBadRequest")
    assert "test_serve_queue.py" in said
    assert f'"{SECRET}"' not in said
