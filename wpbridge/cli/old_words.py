"""Commands and options that are deprecated, read as those that came after them."""

from collections.abc import Callable, Sequence

from wpbridge.deprecated.register import of_kind


def with_new_options(arguments: Sequence[str], warn: Callable[[str], None]) -> list[str]:
    """Return all arguments with today's options, where an option of all commands is an old one."""
    renamed = [
        (old, one.successor, one.words) for old, one in of_kind("option").items() if " " not in old
    ]
    return _renamed(arguments, renamed, warn)


def with_new_words(arguments: Sequence[str], warn: Callable[[str], None]) -> list[str]:
    """Return a command's arguments, which begin with its name, in today's words."""
    found = list(arguments)
    for old, one in of_kind("command").items():
        words = old.split()
        if found[: len(words)] == words:
            found[: len(words)] = one.successor.split()
            warn(one.words)
    for old, one in of_kind("option").items():
        *words, option = old.split()
        if words and found[: len(words)] == words:
            new = one.successor.split()[-1]
            found = _renamed(found, [(option, new, one.words)], warn)
    return found


def _renamed(
    arguments: Sequence[str],
    renamed: Sequence[tuple[str, str, str]],
    warn: Callable[[str], None],
) -> list[str]:
    """Rename options up to ``--``, behind which there are none. Each one warns once."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    found = list(arguments)
    for old, new, words in renamed:
        is_used = False
        for place, argument in enumerate(found[:end]):
            name, equals, value = argument.partition("=")
            if name == old:
                found[place] = f"{new}{equals}{value}"
                is_used = True
        if is_used:
            warn(words)
    return found
