"""Take a new password from a person, or from standard input. It is never shown."""

import getpass
import sys
import warnings
from typing import Final

from wpbridge.access.user_changes import PASSWORD_CHARACTERS, check_password
from wpbridge.cli.terminal import is_terminal
from wpbridge.errors import InputError
from wpbridge.telling.visible import visible

_LINE_END: Final = 2
"""A line may end with two characters."""


def new_password(what: str, *, from_stdin: bool) -> str:
    """Return a password that may be one: from one line of standard input, or asked for twice.

    Raises:
        InputError: it may be none, the two differ, or there is no terminal to ask on.
    """
    if from_stdin:
        return _checked(_from_stdin())
    if not (is_terminal(sys.stdin) and is_terminal(sys.stderr)):
        raise InputError(
            f"{what}: there is no terminal to ask on: give it on standard input, with"
            " --password-stdin"
        )
    first = _checked(_asked(f"{what}: "))
    if _asked("once more: ") != first:
        raise InputError("the two passwords differ: nothing was changed")
    return first


def _asked(question: str) -> str:
    with warnings.catch_warnings():
        # Where the terminal cannot be told to show nothing, Python would only warn.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(visible(question), stream=sys.stderr)
        except getpass.GetPassWarning:
            raise InputError(
                "this terminal would show the password: give it with --password-stdin"
            ) from None


def _from_stdin() -> str:
    try:
        # One character more than there may be says that there are too many.
        told = sys.stdin.read(PASSWORD_CHARACTERS + _LINE_END + 1)
    except UnicodeDecodeError:
        raise InputError("a password is one line of UTF-8 without control characters") from None
    return told.removesuffix("\n").removesuffix("\r")


def _checked(password: str) -> str:
    check_password(password)
    return password
