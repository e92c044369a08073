"""The texts of the pages in the language of who reads them. English stands in the code itself.

Texts in Python are marked with :func:`N_` where they are written, and translated when a page is
made. Texts in templates stand in ``_("…")``. The one catalogue of both is ``locale/wpbridge.pot``.
"""

import functools
import gettext
import re
from contextvars import ContextVar
from pathlib import Path
from typing import Final

DOMAIN: Final = "wpbridge"
LOCALE: Final = Path(__file__).parent / "locale"
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{2,8})*")
_MOST_LANGUAGES: Final = 5

_ENGLISH: Final = gettext.NullTranslations()
_now: Final[ContextVar[gettext.NullTranslations | None]] = ContextVar("texts", default=None)
_code: Final = ContextVar("language", default="en")


def N_(message: str) -> str:  # noqa: N802 - the name that gettext's tools know
    """Mark a text for the catalogue, and return it as it is."""
    return message


def tr(message: str) -> str:
    """Return a text in the language of the page that is being made."""
    return (_now.get() or _ENGLISH).gettext(message) if message else ""


def trn(one: str, many: str, count: int) -> str:
    """Return the text for a number of things."""
    return (_now.get() or _ENGLISH).ngettext(one, many, count)


def speak(accept_language: str) -> None:
    """Answer this request in the first language that a browser wants and that there is."""
    wanted = _wanted(accept_language)
    translations, code = _translations(wanted, LOCALE)
    _now.set(translations)
    _code.set(code)


def language() -> str:
    """Return the code of the language of the page that is being made."""
    return _code.get()


def _wanted(accept_language: str) -> tuple[str, ...]:
    weighed = []
    for place, part in enumerate(accept_language.split(",")[:_MOST_LANGUAGES]):
        name, _, weight = part.strip().partition(";q=")
        if _LANGUAGE.fullmatch(name):
            try:
                weighed.append((-float(weight or 1), place, name.replace("-", "_")))
            except ValueError:
                continue
    return tuple(name for _, _, name in sorted(weighed))


@functools.lru_cache(maxsize=64)
def _translations(wanted: tuple[str, ...], locale: Path) -> tuple[gettext.NullTranslations, str]:
    for name in wanted:
        for code in (name, name.partition("_")[0]):
            if code == "en":
                return gettext.NullTranslations(), "en"
            # gettext.find would take a translation of de for de_AT, whose code the page then had.
            if (locale / code / "LC_MESSAGES" / f"{DOMAIN}.mo").is_file():
                found = gettext.translation(DOMAIN, str(locale), [code])
                return found, code.replace("_", "-")
    return gettext.NullTranslations(), "en"
