"""Pictures of wpbridge in a terminal, for README and docs: SVG files of what commands really print.

Usage: scripts/terminal_pictures.py [FOLDER]. Without a folder they go to docs/images. Each command
runs in a terminal of its own, with a queue on SQLite that is made for it.
"""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "docs" / "images"
COLUMNS: Final = 100
HANDLERS: Final = """
from wpbridge import Context, Retry, hook


@hook("send_mail")
def send_mail(order: int, *, context: Context) -> None:
    if order % 500 == 17:
        raise Retry(after=60, reason="the mail server answered 421")
    if order == 4711:
        raise ValueError("order 4711 has no address")
    context.log(f"mail {order} sent")
"""
ORDERS: Final = 2_000
FONT: Final = "ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
"""Names of fonts that the reader has. Rich's own picture loads one from elsewhere."""
THEME: Final = TerminalTheme(
    (27, 31, 36),
    (224, 228, 232),
    [
        (27, 31, 36),
        (236, 110, 110),
        (126, 211, 137),
        (230, 192, 110),
        (122, 170, 240),
        (200, 150, 230),
        (110, 205, 215),
        (224, 228, 232),
    ],
    [(128, 136, 144)] * 8,
)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        _run(Path(place), folder / "run.svg")


def _run(place: Path, picture: Path) -> None:
    """Mails of a shop: enqueued, run, and what became of them."""
    dsn = f"sqlite:///{place}/queue.db"
    (place / "shop_hooks.py").write_text(HANDLERS, "utf-8")
    lines = (
        json.dumps({"hook": "send_mail", "group": "mail", "args": {"order": n}}) for n in _orders()
    )
    (place / "mails.jsonl").write_text("\n".join(lines), "utf-8")
    told(["wpbridge", "init", "--dsn", dsn], place)
    commands = (
        "wpbridge enqueue --jsonl mails.jsonl",
        "wpbridge claim-and-run --handlers shop_hooks",
        "wpbridge failures --fields count,hooks,sample",
        "wpbridge logs 2000",
        "wpbridge explain 17 --handlers shop_hooks",
    )
    draw(commands, place, dsn, picture, "wpbridge: a run")


def _orders() -> list[int]:
    return [*range(1, ORDERS), 4711]


def draw(commands: Sequence[str], place: Path, dsn: str, picture: Path, title: str) -> None:
    """Run commands in a terminal, and make a picture of it."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        for command in commands:
            console.print(Text.assemble(("$ ", "bold green"), (command, "bold")))
            printed = told([*command.split(), "--dsn", dsn], place)
            console.print(Text.from_ansi("\n".join(lines_of(printed))))
            console.print()
        svg = console.export_svg(title=title, theme=THEME, unique_id=picture.stem)
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"font-family: (?:Fira Code, monospace|arial)", f"font-family: {FONT}", svg)
    svg = svg.replace("<!-- Generated with Rich https://www.textualize.io -->", "")
    assert "https:" not in svg, "a picture loads nothing"
    picture.write_text(svg + "\n", "utf-8")
    print(picture.name, len(svg))


def told(words: Sequence[str], folder: Path) -> str:
    """Run a command in a terminal; return what it shows there. A failure ends everything."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**os.environ, "PATH": programs, "TERM": "xterm-256color", "PYTHONDONTWRITEBYTECODE": "1"}
    with subprocess.Popen(
        words, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    text = shown.decode()
    assert process.returncode == 0, text
    return text


def lines_of(shown: str) -> list[str]:
    """The lines that are left on the screen: a progress bar goes up and clears its own."""
    lines = [""]
    for piece in re.split(r"(\r?\n|\x1b\[1A|\x1b\[2K|\x1b\[\?25[lh])", shown):
        if piece.endswith("\n"):
            lines.append("")
        elif piece == "\x1b[1A":
            lines = lines[:-1] or [""]
        elif piece == "\x1b[2K":
            lines[-1] = ""
        elif not piece.startswith("\x1b[?"):
            lines[-1] += piece.replace("\r", "")
    while lines and not lines[-1]:
        del lines[-1]
    return lines


def _read(terminal: int) -> bytes:
    """Read on; a terminal whose program has ended answers with an error."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else FOLDER)
