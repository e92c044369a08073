"""The only way from a command to stdout and stderr.

Everything passes :func:`wpbridge.telling.visible.visible` here, so no command has to think of what
a hook, a host or an error message may hold. Lint forbids the other ways (`click.echo`, `print`,
rich's consoles). Programs that read a pipe or a file get JSON, which loses nothing, and
:func:`write_data` for the formats that promise the bare value.
"""

import contextlib
import json
import os
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeAlias

import click

from wpbridge.errors import InputError
from wpbridge.telling.visible import visible, visible_json

if TYPE_CHECKING:
    from rich.console import Console

Piece: TypeAlias = tuple[str, str]
"""A text, and rich's name of its style; empty for none."""
_NO_SCREEN: Final = ("", "dumb", "unknown")
"""Kinds of terminals that can only go on to the next line."""
_REPLACED: Final = "backslashreplace"


def is_terminal(stream: TextIO | None) -> bool:
    """Tell whether a person reads the stream; False also where the process has none."""
    return stream is not None and stream.isatty()


def print_line(words: object, *, err: bool = False) -> None:
    """Print exactly one line, whatever stands in it."""
    _write(f"{visible(str(words))}\n", err=err)


def print_cells(cells: Iterable[str]) -> None:
    """Print one line whose cells are parted by tabs."""
    _write("\t".join(map(visible, cells)) + "\n")


def print_text(text: str) -> None:
    """Print several lines: newlines and nothing else steer the terminal."""
    for line in text.split("\n"):
        print_line(line)


def print_json(value: object, *, indent: int | None = None) -> None:
    """Print a value as JSON; whoever reads it gets the very same value."""
    text = visible_json(value, indent=indent)
    try:
        text.encode(_encoding(sys.stdout))
    except UnicodeEncodeError:
        text = json.dumps(json.loads(text), indent=indent)
    _write(f"{text}\n")


def data(text: str) -> str:
    """Return a value as it is for a program, and by the rule for a terminal."""
    return visible(text) if is_terminal(sys.stdout) else text


def write_data(text: str) -> None:
    """Write text for a program as it is; on a terminal newlines and nothing else steer.

    Raises InputError where a pipe's encoding lacks a letter: an escape would be other data.
    """
    if is_terminal(sys.stdout):
        _write("\n".join(map(visible, text.split("\n"))))
    elif sys.stdout is not None:
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            raise InputError(
                f"standard output's encoding, {_encoding(sys.stdout)}, has no sign for some of the"
                " data: use --format json, or set PYTHONIOENCODING=utf-8"
            ) from None


def confirm(question: str) -> None:
    """Ask on stderr; click.Abort unless the answer is yes."""
    click.confirm(f"{visible(question)}?", abort=True, err=True)


def styled_printer(*, color: bool | None) -> Callable[[Sequence[Piece]], None]:
    """Return a function that prints one line of :data:`Piece` on stdout, however long it is.

    ``color`` is False for no escape codes at all; None lets rich decide.
    """
    from rich.console import Console  # noqa: PLC0415 - loads only for a terminal
    from rich.text import Text  # noqa: PLC0415

    # Without colours there are no escape codes at all, for bold neither.
    console = Console(color_system=None) if color is False else Console(no_color=False)

    def print_pieces(pieces: Sequence[Piece]) -> None:
        # As texts and not as markup: a hook such as "[red]" is a name.
        told = [(_encodable(visible(text), sys.stdout), style) for text, style in pieces]
        console.print(Text.assemble(*told), soft_wrap=True, highlight=False)

    return print_pieces


def can_redraw() -> bool:
    """Tell whether stdout is a terminal whose screen can be drawn anew in place."""
    return is_terminal(sys.stdout) and os.environ.get("TERM", "dumb") not in _NO_SCREEN


@contextlib.contextmanager
def live_screen(*, color: bool | None) -> Iterator[Callable[[Sequence[Sequence[Piece]]], None]]:
    """Yield a function that shows lines of :data:`Piece` in place, on the terminal's other screen.

    Each line is cut at the terminal's width, and what does not fit below is left out. Afterwards
    the terminal shows what it showed before. ``color`` is as for :func:`styled_printer`.
    """
    from rich.console import Console, Group  # noqa: PLC0415 - loads only for a terminal
    from rich.live import Live  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(color_system=None) if color is False else Console(no_color=False)

    def drawn(pieces: Sequence[Piece]) -> Text:
        told = [(_encodable(visible(text), sys.stdout), style) for text, style in pieces]
        return Text.assemble(*told, no_wrap=True, overflow="ellipsis")

    live = Live(
        console=console,
        screen=True,
        auto_refresh=False,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with live:
        yield lambda lines: live.update(Group(*map(drawn, lines)), refresh=True)


@contextlib.contextmanager
def typed_keys() -> Iterator[int | None]:
    """Yield the descriptor at which each key arrives as it is typed; None without a terminal.

    Keys are not shown meanwhile. Afterwards the terminal is as it was.
    """
    import termios  # noqa: PLC0415 - few commands read keys
    import tty  # noqa: PLC0415

    if not is_terminal(sys.stdin):
        yield None
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield descriptor
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def progress_console() -> "Console":
    """Return what bars are drawn on: stderr. Their texts are the commands' own words."""
    from rich.console import Console  # noqa: PLC0415 - loads only for a terminal

    return Console(stderr=True)


def guard_stderr() -> None:
    """Have Python's warnings, and errors that nobody caught, pass the rule: they may hold data."""

    def hook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        told = "".join(traceback.format_exception(kind, error, where)).rstrip("\n")
        for line in told.split("\n"):
            print_line(line, err=True)

    def thread_hook(args: Any) -> None:
        if args.exc_type is not SystemExit:
            hook(args.exc_type, args.exc_value, args.exc_traceback)

    def ignored_hook(args: Any) -> None:
        print_line(f"{args.err_msg or 'Exception ignored in'}: {type(args.object)}", err=True)
        hook(args.exc_type, args.exc_value, args.exc_traceback)

    def show(*told: Any, **_more: Any) -> None:
        message, category, name, line = told[:4]
        print_line(f"{name}:{line}: {category.__name__}: {message}", err=True)

    warnings.showwarning = show
    sys.excepthook = hook
    sys.unraisablehook = ignored_hook
    threading.excepthook = thread_hook


def width() -> int:
    """Return how many cells a line of the terminal has; COLUMNS overrides it."""
    import shutil  # noqa: PLC0415 - loads three packers of files

    return shutil.get_terminal_size().columns


def encodable(wish: str, plain: str) -> str:
    """Return the wished text, or the plain one where stdout's encoding lacks it."""
    return wish if _encodable(wish, sys.stdout) == wish else plain


def _write(text: str, *, err: bool = False) -> None:
    stream = sys.stderr if err else sys.stdout
    # A process may have been started without.
    if stream is not None:
        stream.write(_encodable(text, stream))
        stream.flush()


def _encoding(stream: TextIO | None) -> str:
    return getattr(stream, "encoding", None) or "utf-8"


def _encodable(text: str, stream: TextIO | None) -> str:
    """Return the text with an escape for each letter that the stream's encoding lacks."""
    encoding = _encoding(stream)
    return text.encode(encoding, _REPLACED).decode(encoding)
