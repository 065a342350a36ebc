"""Pages in a headless Chromium: what a script sees in them, whether they are accessible, how they look.

`SPACKTAINERS_NODE_MODULES` may name a folder in which npm put axe-core; `make rehearsal-tools` puts it where it is
found.
"""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from tests.integration.components import give_up, require
from tests.samples import REPOSITORY

NODE_MODULES = Path(os.environ.get("SPACKTAINERS_NODE_MODULES", REPOSITORY / "build" / "node_modules"))
NARROWEST = 500
"""Pixels: a window of Chromium is not made narrower, so that a page which is to be goes into a frame."""
SCRIPTS_OF_TESTS = "script-src 'unsafe-inline'"


def seen_by_browser(page: str, script: str, folder: Path, *, width: int = 1200, is_dark: bool = False) -> Any:
    """What a script that runs in the page, and hands its result to `done`, says.

    The page's own policy would keep it from running; so that alone is another one.
    """
    where = "(window.frameElement ? parent : window).document.documentElement"
    reported = f"const done = found => {where}.setAttribute('data-found', JSON.stringify(found));"
    opened = re.sub(r"script-src '[^']*'", SCRIPTS_OF_TESTS, page)
    text = opened.replace("</body>", f"<script>{reported}\n{script}</script>\n</body>")
    if width < NARROWEST:
        text = f'<iframe width="{width}" height="900" style="border: 0" srcdoc="{html.escape(text)}"></iframe>'
    done = _chromium(text, folder, "--dump-dom", width=width, is_dark=is_dark)
    found = re.search(r'data-found="([^"]*)"', done.stdout)
    assert found, done.stderr[-2000:]
    return json.loads(html.unescape(found[1]))


def in_the_way(page: str, folder: Path, *, width: int = 1200, is_dark: bool = False) -> list[tuple[str, str]]:
    """What axe-core finds that is in the way of people: the rule, and the first element."""
    axe = NODE_MODULES / "axe-core" / "axe.min.js"
    if not axe.is_file():
        give_up(f"axe-core is not in {NODE_MODULES}")
    script = f"{axe.read_text()}\naxe.run().then(all => done({{found: all.violations, passed: all.passes.length}}));"
    found = seen_by_browser(page, script, folder, width=width, is_dark=is_dark)
    assert found["passed"] > 10
    return [(one["id"], one["nodes"][0]["html"]) for one in found["found"]]


def left_by_browser(page: str, folder: Path, *, width: int = 1200) -> str:
    """The page as it is after it was opened, as HTML."""
    return _chromium(page, folder, "--dump-dom", width=width).stdout


def picture_of(page: str, folder: Path, *, width: int, height: int, is_dark: bool = False) -> bytes:
    """How the page looks, as PNG."""
    shot = folder / "shot.png"
    _chromium(page, folder, f"--screenshot={shot}", "--hide-scrollbars", width=width, height=height, is_dark=is_dark)
    return shot.read_bytes()


def _chromium(
    page: str, folder: Path, *asked: str, width: int, height: int = 900, is_dark: bool = False
) -> subprocess.CompletedProcess[str]:
    browser = require("chromium")
    file = folder / "page.html"
    file.write_text(page)
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder / 'profile'}"]
    options += ["--virtual-time-budget=20000", f"--window-size={width},{height}"]
    options += ["--blink-settings=preferredColorScheme=0"] if is_dark else []
    command = [browser, *options, *asked, file.as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
