"""Who may call the HTTP gateway: API keys, WordPress's application passwords, and tokens."""

from typing import Final

DOOR: Final = ("caller", "callers", "changing", "keys", "rates", "tokens")
"""The modules that other rooms may import."""
