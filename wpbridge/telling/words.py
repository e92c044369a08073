"""Words for people, as all messages have them."""


def plural(count: int, word: str) -> str:
    """Return a count with its word: ``1 action``, ``4,213 actions``."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"
