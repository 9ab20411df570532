"""A browser, and what it makes of a page."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PHONE_PX, PAPER_PX, DESKTOP_PX = 375, 760, 1200
PROBE = """
<script>
addEventListener("load", () => {
  const all = (what) => [...document.querySelectorAll(what)];
  const said = (it) => it.innerText.trim();
  const sticksOut = (it) => it.getBoundingClientRect().right > innerWidth + 1;
  const range = document.createRange();
  const pieces = (it) => (range.selectNodeContents(it), range.getClientRects().length);
  const words = all(".name, .path").flatMap((it) => [...it.childNodes])
    .filter((it) => it.nodeType == 3 && !/[\\s-]/.test(it.data.trim()));
  const too_wide = all("main *:not(.hidden)").filter(sticksOut);
  parent.postMessage(JSON.stringify({
    pictures: all("img").map((it) => it.naturalWidth),
    overflow: document.documentElement.scrollWidth - innerWidth,
    broken: words.filter((it) => pieces(it) > 1).map((it) => it.data),
    too_wide: too_wide.map((it) => it.outerHTML.slice(0, 80)),
    metrics: Object.fromEntries(all("[data-metric]").map((it) => [it.dataset.metric, said(it)])),
    bins: all("table.reliability tbody tr").map((row) => [...row.cells].map(said)),
    headings: all("h1, h2, h3, h4").map((it) => Number(it.tagName[1])),
    scores: all("table.scores tbody tr").map((row) => [...row.cells].map(said)),
    text: document.body.innerText,
  }), "*");
});
</script>
"""
FRAMES = """<!doctype html>
<pre id="probe"></pre>
<script>
const found = [];
addEventListener("message", (it) => {
  const frames = [...document.querySelectorAll("iframe")];
  found[frames.findIndex((frame) => frame.contentWindow == it.source)] = JSON.parse(it.data);
  document.querySelector("pre").textContent = JSON.stringify(found);
});
</script>
"""
FRAME = '<iframe src="page.html" width="{width}" height="900" style="border:0"></iframe>\n'


def find_browser() -> str:
    """The program; without one, a test is skipped, in CI it fails."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        message = f"no browser on PATH (any of {', '.join(names)})"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return program


@dataclass(frozen=True)
class Browser:
    """Headless Chromium, told to leave the network alone."""

    program: str
    profile: Path

    def start(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        flags = (
            "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking "
            "--disable-component-update --disable-sync --virtual-time-budget=4000"
        )
        command = [self.program, *flags.split(), f"--user-data-dir={self.profile}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)

    def probe(self, page: str, width: int, folder: Path, script: str = PROBE) -> Any:
        """What the script finds in `page` on a screen of `width` pixels."""
        (found,) = self.probe_all(page, [width], folder, script)
        return found

    def probe_all(
        self, page: str, widths: Sequence[int], folder: Path, script: str = PROBE
    ) -> list[Any]:
        """The same on several screens at once.

        In frames, because a window of Chromium cannot be as narrow as a phone.
        """
        policy = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
        probed = policy.sub("", page).replace("</body>", script + "</body>")
        (folder / "page.html").write_text(probed, encoding="utf-8")
        frame = folder / "frame.html"
        frames = "".join(FRAME.format(width=width) for width in widths)
        frame.write_text(FRAMES + frames, encoding="utf-8")
        found = self.start("--dump-dom", frame.as_uri()).stdout
        result = re.search(r'<pre id="probe">(.*?)</pre>', found, re.S)
        assert result, found[:2000]
        seen = json.loads(html.unescape(result[1]))
        assert len(seen) == len(widths)
        assert all(seen)
        return seen

    def complaints(self, page: Path) -> list[str]:
        """What the console says while the page opens."""
        log = self.start("--enable-logging=stderr", "--dump-dom", page.as_uri()).stderr
        return [line for line in log.splitlines() if "CONSOLE" in line]
