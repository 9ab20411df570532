"""The page of `carbrand serve` in a real Chromium: a drop, a paste, a choice, and what is shown."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import pytest

from tests.conftest import PAINTS, draw_photo
from tests.support.browser import find_browser
from tests.support.serving import serving

PHONE_PX, DESKTOP_PX = 375, 1200
PATIENCE_S = 60.0
HOSTILE = "<img src=x onerror=alert(1)>.png"
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --remote-debugging-port=0"
)


@dataclass
class Tab:
    """A page in Chromium, driven through its DevTools protocol."""

    socket: aiohttp.ClientWebSocketResponse
    complaints: list[str] = field(default_factory=list)
    choosers: list[int] = field(default_factory=list)  # the inputs that asked for files
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    async def do(self, method: str, **parameters: Any) -> Any:
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await asyncio.wait_for(self.socket.receive_json(), PATIENCE_S)
            if message.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown"):
                self.complaints.append(json.dumps(message["params"]))
            if message.get("method") == "Page.fileChooserOpened":
                self.choosers.append(message["params"]["backendNodeId"])
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]

    async def ask(self, expression: str) -> Any:
        answer = await self.do(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    async def until(self, expression: str) -> Any:
        end = time.monotonic() + PATIENCE_S
        while not (value := await self.ask(expression)):
            assert time.monotonic() < end, f"never true: {expression}"
            await asyncio.sleep(0.05)
        return value

    async def open(self, address: str, width: int = DESKTOP_PX, *, dark: bool = False) -> None:
        await self.do(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.do("Emulation.setEmulatedMedia", features=[scheme])
        for domain in ("Page", "Log", "Runtime", "DOM"):
            await self.do(f"{domain}.enable")
        await self.do("Page.navigate", url=address)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'")

    async def drop(self, *files: Path) -> None:
        """What dragging files out of a file manager does, onto the dashed frame."""
        box = await self.ask("document.querySelector('.drop').getBoundingClientRect().toJSON()")
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        for kind in ("dragEnter", "dragOver", "drop"):
            await self.do("Input.dispatchDragEvent", type=kind, data=data, **place)

    async def press(self, key: str, **more: Any) -> None:
        for kind in ("keyDown", "keyUp"):
            await self.do("Input.dispatchKeyEvent", type=kind, key=key, code=key, **more)

    async def answers(self, count: int) -> list[dict[str, Any]]:
        """What the page shows of so many photos, newest first."""
        await self.until(f"document.querySelectorAll('article').length === {count}")
        return await self.ask(
            """[...document.querySelectorAll("article")].map((it) => ({
                 refused: it.classList.contains("refused"),
                 name: it.querySelector(".path, .refused .name").textContent,
                 text: it.innerText,
                 title: it.querySelector("h2").textContent,
                 bars: [...it.querySelectorAll(".bars li")].map((bar) => [
                   bar.querySelector(".name").textContent, bar.querySelector(".value").textContent,
                   bar.querySelector("i").getBoundingClientRect().width
                     / bar.querySelector(".bar").getBoundingClientRect().width]),
                 pictures: [...it.querySelectorAll("img")].map((img) => {
                   const { width, height } = img.getBoundingClientRect();
                   return [img.className, img.naturalWidth, img.naturalHeight, width, height];
                 }),
               }))"""
        )

    async def screenshot(self, file: Path) -> None:
        picture = await self.do("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(base64.b64decode(picture["data"]))


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Tab]:
    """An empty tab of a Chromium of its own."""
    command = [find_browser(), *FLAGS.split(), f"--user-data-dir={profile}", "about:blank"]
    browser = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told, end = profile / "DevToolsActivePort", time.monotonic() + PATIENCE_S
        while not (told.exists() and told.read_text()):
            assert browser.poll() is None
            assert time.monotonic() < end, "the browser does not start"
            await asyncio.sleep(0.05)
        address = f"http://127.0.0.1:{told.read_text().split()[0]}/json/list"
        async with aiohttp.ClientSession() as session:
            async with session.get(address) as response:
                tabs = await response.json(content_type=None)
            tab = next(tab for tab in tabs if tab["type"] == "page")
            connect = session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0)
            async with connect as socket:
                yield Tab(socket)
    finally:
        browser.terminate()
        browser.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def project(_finished: Path) -> Path:
    """Where the pipeline ran; nothing here changes it."""
    return _finished


@pytest.fixture(scope="module")
def address(project):
    with serving(project) as server:
        yield server.address


@pytest.fixture
def browse(tmp_path):
    """Runs what a test does in a tab; nothing on the page may complain."""

    def run(visit: Callable[[Tab], Coroutine[Any, Any, None]]) -> None:
        async def main() -> None:
            async with browsing(tmp_path / "profile") as tab:
                await visit(tab)
                assert tab.complaints == []

        asyncio.run(main())

    return run


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    paths = []
    for number, (brand, paint) in enumerate(PAINTS.items()):
        paths.append(tmp_path / f"{brand}.png")
        draw_photo(paint, number, (300, 200)).save(paths[-1])
    return paths


def posted(address: str, photo: Path) -> dict[str, Any]:
    request = Request(f"{address}predict", photo.read_bytes(), method="POST")
    with urlopen(request, timeout=PATIENCE_S) as response:
        return json.load(response)


def said(share: float) -> str:
    return f"{100 * share:.1f}\xa0%"


def test_a_dropped_photo_gets_the_brand_bars_and_heat_map_of_the_endpoint(address, browse, photos):
    record = posted(address, photos[0])

    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.drop(photos[0])
        (answer,) = await tab.answers(1)
        assert answer["title"] == f"{record['brand']}, {said(record['confidence'])} sure"
        assert answer["name"] == photos[0].name
        expected = record["probabilities"]
        assert {name: value for name, value, _ in answer["bars"]} == {
            brand: said(share) for brand, share in expected.items()
        }
        for name, _, drawn in answer["bars"]:
            assert drawn == pytest.approx(expected[name], abs=0.01)
        plain, greyed, heat = answer["pictures"]
        assert plain[:3] == ["photo", 300, 200]
        assert greyed[:3] == ["photo", 300, 200]
        assert heat[0] == "heat"
        assert heat[3:] == greyed[3:] == plain[3:]
        assert await tab.ask("document.querySelector('.heat').src") == record["heatmap"]
        assert not await tab.ask("document.body.classList.contains('dragging')")
        status = await tab.ask("document.querySelector('[role=status]').textContent")
        sure = f"{photos[0].name}: {record['brand']}, {said(record['confidence'])} sure."
        assert status == sure + " It looks like none of the brands." * record["unknown"]
        told = await tab.ask("document.querySelector('article .set').textContent")
        assert told == f"With {said(0.9)}, one of: {', '.join(record['set'])}"
        assert await tab.ask("document.querySelector('.unknown').hidden") != record["unknown"]

    browse(visit)


def test_several_photos_dropped_at_once_are_all_answered_newest_first(address, browse, photos):
    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.drop(*photos)
        answers = await tab.answers(3)
        assert [answer["name"] for answer in answers] == [photo.name for photo in photos[::-1]]
        brands = [posted(address, photo)["brand"] for photo in photos[::-1]]
        assert [answer["title"].split(",")[0] for answer in answers] == brands

    browse(visit)


def test_a_picture_pasted_from_the_clipboard_is_answered(address, browse, photos):
    data = base64.b64encode(photos[1].read_bytes()).decode("ascii")

    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.do(
            "Browser.grantPermissions",
            permissions=["clipboardReadWrite", "clipboardSanitizedWrite"],
            origin=address.rstrip("/"),
        )
        await tab.do("Page.bringToFront")
        await tab.ask(
            f"""(async () => {{
              const type = "image/png";
              const bytes = Uint8Array.from(atob("{data}"), (it) => it.charCodeAt(0));
              const item = new ClipboardItem({{[type]: new Blob([bytes], {{type}})}});
              await navigator.clipboard.write([item]);
            }})()"""
        )
        await tab.press("v", modifiers=2, commands=["paste"])
        (answer,) = await tab.answers(1)
        assert answer["title"].startswith(posted(address, photos[1])["brand"])
        assert answer["pictures"][0][1:3] == [300, 200]

    browse(visit)


def test_a_file_is_chosen_with_the_keyboard_alone(address, browse, photos):
    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.press("Tab", windowsVirtualKeyCode=9)
        assert await tab.ask("document.activeElement.id") == "files"
        outline = "getComputedStyle(document.querySelector('.drop')).outlineStyle"
        assert await tab.ask(outline) == "solid"
        await tab.do("Page.setInterceptFileChooserDialog", enabled=True)
        await tab.press(" ", windowsVirtualKeyCode=32, text=" ")
        while not tab.choosers:
            await tab.ask("1")
        await tab.do("DOM.setFileInputFiles", files=[str(photos[2])], backendNodeId=tab.choosers[0])
        (answer,) = await tab.answers(1)
        assert answer["title"].startswith(posted(address, photos[2])["brand"])

    browse(visit)


def test_what_is_no_photo_gets_the_servers_sentence_and_the_next_photo_an_answer(
    address, browse, photos, tmp_path
):
    text = tmp_path / "notes.jpg"
    text.write_text("not a photo", "utf-8")

    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.drop(text, photos[0])
        good, bad = await tab.answers(2)
        assert not good["refused"]
        assert bad["refused"]
        assert bad["name"] == "notes.jpg"
        assert "This is not a readable photo: none of JPEG" in bad["text"]
        # The one thing that the console may say is the status of the refusal.
        assert all("415" in complaint for complaint in tab.complaints)
        tab.complaints.clear()

    browse(visit)


def test_a_photo_over_the_limit_is_not_even_sent(browse, project, tmp_path):
    large = tmp_path / "large.bmp"
    draw_photo((9, 9, 9), 0, (800, 500)).save(large)  # 1.2 MB

    async def visit(tab: Tab) -> None:
        with serving(project, "--max-mb", "1") as server:
            await tab.open(server.address)
            await tab.drop(large)
            (answer,) = await tab.answers(1)
            assert "larger than 1 MB" in answer["text"]

    browse(visit)


def test_a_server_that_has_ended_is_told(browse, project, photos):
    async def visit(tab: Tab) -> None:
        with serving(project) as server:
            await tab.open(server.address)
        await tab.drop(photos[0])
        (answer,) = await tab.answers(1)
        assert "The server does not answer" in answer["text"]
        tab.complaints.clear()  # of the refused connection

    browse(visit)


def test_a_dragged_link_is_told_to_be_no_file(address, browse):
    async def visit(tab: Tab) -> None:
        await tab.open(address)
        link = {"mimeType": "text/uri-list", "data": "https://example.invalid/car.jpg"}
        data = {"items": [link], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            await tab.do("Input.dispatchDragEvent", type=kind, x=400, y=300, data=data)
        await tab.until("document.getElementById('status').textContent.includes('no file')")
        assert await tab.ask("location.href") == address

    browse(visit)


def test_of_a_photo_that_the_browser_cannot_show_there_is_the_heat_map(address, browse, tmp_path):
    tiff = tmp_path / "scan.tif"
    draw_photo((30, 60, 200), 7, (300, 200)).save(tiff)

    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.drop(tiff)
        (answer,) = await tab.answers(1)
        (heat,) = answer["pictures"]
        assert heat[0] == "heat"
        assert heat[3] / heat[4] == pytest.approx(300 / 200, rel=0.02)
        assert "cannot show the photo the way the model saw it" in answer["text"]

    browse(visit)


def test_a_photo_turned_by_its_camera_lies_upright_under_its_heat_map(address, browse, tmp_path):
    photo = draw_photo((200, 30, 30), 3, (300, 200))
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(tmp_path / "turned.jpg", exif=exif)

    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.drop(tmp_path / "turned.jpg")
        (answer,) = await tab.answers(1)
        plain, greyed, heat = answer["pictures"]
        assert plain[1:3] == [200, 300]
        assert heat[3:] == greyed[3:]

    browse(visit)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such file names")
def test_a_hostile_file_name_is_shown_and_not_run(address, browse, tmp_path):
    draw_photo((200, 30, 30), 3).save(tmp_path / HOSTILE)

    async def visit(tab: Tab) -> None:
        await tab.open(address)
        await tab.drop(tmp_path / HOSTILE)
        (answer,) = await tab.answers(1)
        assert answer["name"] == HOSTILE
        assert len(answer["pictures"]) == 3

    browse(visit)


def test_of_many_brands_the_likeliest_have_bars_and_the_others_one_together(address, browse):
    async def visit(tab: Tab) -> None:
        await tab.open(address)
        for brands, shown in ((8, 8), (33, 6)):
            text = f"""bars(Object.fromEntries(
              [...Array({brands}).keys()].map((n) => [`brand ${{n}}`, (n + 1) / 1000])
            )).map((it) => it.textContent.trim())"""
            found = await tab.ask(text)
            assert len(found) == shown
            assert found[0] == f"brand {brands - 1}{said(brands / 1000)}"
        assert found[-1] == f"28 others{said(sum(range(1, 29)) / 1000)}"

    browse(visit)


@pytest.mark.parametrize("width", [PHONE_PX, DESKTOP_PX])
def test_nothing_sticks_out_on_a_phone_or_a_desk(address, browse, tmp_path, width):
    wide, tall = tmp_path / ("long_name_" * 12 + ".png"), tmp_path / "tall.png"
    draw_photo((200, 30, 30), 1, (900, 90)).save(wide)
    draw_photo((30, 60, 200), 2, (90, 900)).save(tall)
    text = tmp_path / ("no_photo_" * 12 + ".png")
    text.write_text("no", "utf-8")

    async def visit(tab: Tab) -> None:
        await tab.open(address, width)
        await tab.drop(wide, tall, text)
        await tab.answers(3)
        tab.complaints.clear()
        sizes = await tab.ask("[document.documentElement.scrollWidth, innerWidth]")
        assert sizes[0] <= sizes[1] == width
        too_wide = """[...document.querySelectorAll("main *")]
            .filter((it) => it.getBoundingClientRect().right > innerWidth + 0.5)
            .map((it) => it.outerHTML.slice(0, 80))"""
        assert await tab.ask(too_wide) == []

    browse(visit)
