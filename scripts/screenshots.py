"""Pictures of each page of the dashboard, of a queue that is made up, for README and docs.

Usage: scripts/screenshots [FOLDER]. Without a folder they go to docs/images.
"""

import struct
import sys
import tempfile
import zlib
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from playwright.sync_api import Browser, ViewportSize

from browser import NARROW, SIGNED_IN, chromium, missing_browser, reached, tab
from databases import empty_queue
from demo_queue import demo_queue
from gateway import serving

FOLDER: Final = Path(__file__).resolve().parent.parent / "docs" / "images"
SIZE: Final[ViewportSize] = {"width": 1180, "height": 760}
MOST_BYTES: Final = 120_000
DARK: Final = "overview"
ON_A_PHONE: Final = "actions"
_MAGIC: Final = b"\x89PNG\r\n\x1a\n"


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        dsn = empty_queue(Path(place, "queue.db"))
        demo_queue(Path(place, "queue.db"), datetime.now(UTC))
        with chromium() as browser, serving(dsn, keys={}, **SIGNED_IN) as gateway:
            pages = {**reached(browser, gateway.url), "action": _failed_one(browser, gateway.url)}
            for name, path in sorted(pages.items()):
                _taken(browser, gateway.url + path, folder / f"{name}.png", SIZE)
                if name == DARK:
                    _taken(browser, gateway.url + path, folder / f"{name}-dark.png", SIZE, "dark")
                if name == ON_A_PHONE:
                    _taken(browser, gateway.url + path, folder / f"{name}-phone.png", NARROW)


def _failed_one(browser: Browser, base: str) -> str:
    """The path of an action that has more to show than others."""
    with tab(browser, base) as it:
        link = it.go("actions?status=failed&hook=shop_send_invoice").locator(".rows .id a").first
        return (link.get_attribute("href") or "").removeprefix(urlsplit(base).path)


def _taken(
    browser: Browser, url: str, file: Path, size: ViewportSize, theme: str = "light"
) -> None:
    with tab(browser, "", viewport=size, color_scheme=theme) as it:
        it.page.goto(url)
        # Where the queue lies, and how somebody was signed in here, is not what is shown.
        it.page.evaluate(
            "document.querySelector('.site').textContent = 'shop.example';"
            "document.querySelector('.person summary').textContent = 'anna'"
        )
        picture = in_colors(it.page.screenshot())
    assert len(picture) <= MOST_BYTES, f"{file.name} has {len(picture)} bytes"
    file.write_bytes(picture)
    print(file.name, len(picture))


def in_colors(picture: bytes) -> bytes:
    """A PNG as browsers make them, with the 256 colors that it has most: a third of the bytes."""
    width, height, channels, rows = _read(picture)
    pixels = [rows[n : n + channels][:3] for n in range(0, len(rows), channels)]
    counted = Counter(pixels)
    colors = [color for color, _ in counted.most_common(256)]
    places = {color: place for place, color in enumerate(colors)}
    for color in counted:
        if color not in places:
            places[color] = _nearest(color, colors)
    told = bytes(places[pixel] for pixel in pixels)
    lines = b"".join(b"\0" + told[n : n + width] for n in range(0, len(told), width))
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = ((b"IHDR", head), (b"PLTE", b"".join(colors)), (b"IDAT", zlib.compress(lines, 9)))
    return _MAGIC + b"".join(_chunk(*one) for one in (*parts, (b"IEND", b"")))


def _nearest(color: bytes, colors: list[bytes]) -> int:
    def distance(place: int) -> int:
        return sum((one - other) ** 2 for one, other in zip(color, colors[place], strict=True))

    return min(range(len(colors)), key=distance)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _read(picture: bytes) -> tuple[int, int, int, bytes]:
    """Width, height, bytes a pixel, and the bytes of all pixels."""
    at, packed, head = len(_MAGIC), b"", b""
    while at < len(picture):
        [size] = struct.unpack(">I", picture[at : at + 4])
        kind, data = picture[at + 4 : at + 8], picture[at + 8 : at + 8 + size]
        head = data if kind == b"IHDR" else head
        packed += data if kind == b"IDAT" else b""
        at += size + 12
    width, height, depth, color = struct.unpack(">IIBB", head[:10])
    channels = {2: 3, 6: 4}[color]
    assert depth == 8, depth  # noqa: PLR2004 - what browsers make
    lines = zlib.decompress(packed)
    step = width * channels + 1
    before, rows = bytes(step - 1), []
    for place in range(0, height * step, step):
        before = _unfiltered(lines[place], lines[place + 1 : place + step], before, channels)
        rows.append(before)
    return width, height, channels, b"".join(rows)


def _unfiltered(kind: int, line: bytes, above: bytes, channels: int) -> bytes:
    """A line as it was before PNG's filters, of which each byte looks at those left and above."""
    told = bytearray(line)
    for n, one in enumerate(line):
        left = told[n - channels] if n >= channels else 0
        corner = above[n - channels] if n >= channels else 0
        guess = (0, left, above[n], (left + above[n]) // 2, _paeth(left, above[n], corner))[kind]
        told[n] = (one + guess) & 0xFF
    return bytes(told)


def _paeth(left: int, above: int, corner: int) -> int:
    guess = left + above - corner
    return min((left, above, corner), key=lambda one: abs(guess - one))


if __name__ == "__main__":
    if (missing := missing_browser()) is not None:
        sys.exit(f"screenshots: {missing}")
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
