"""Finds what the messages of one failure have in common.

:func:`fingerprint` masks what differs from one occurrence to the next: ids, dates, amounts and
addresses. It looks at characters, not at their meaning. So the names of people and products stay,
and messages that differ in them count as different failures.
"""

import re
from typing import Final

READ_CHARS: Final = 2000
_MOST_CHARS: Final = 200

_PREFIX: Final = re.compile(r"\A(?:action failed(?: via [^:]{1,80})?: )+")
_LIST: Final = re.compile(r"(?<![A-Za-z])<(n|id)>(?:[,;]? ?<\1>)+(?![A-Za-z])")

# Every pattern begins at the start of a word, and unlimited repetitions are possessive (``++``), so
# that no part of a text is read again and again. A group is not repeated possessively: Python
# 3.11.2 then takes a character too many where the last round fails half-way.
_START: Final = r"(?<![A-Za-z0-9])"
_END: Final = r"(?![A-Za-z0-9])"

_SITE: Final = r"(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{1,15}://"
_QUERY: Final = re.compile(rf"((?:{_SITE}|(?<![^\s\"'(=])/)[^\s?#\"'<>]*+[?#])[^\s\"'<>]++")
_PASSWORD: Final = re.compile(rf"({_SITE})[^\s/?#\"'<>]*@")

_CODE: Final = (
    rf"{_START}(?i:(?:HTTP(?:/\d(?:\.\d)?)?|status|code)(?:[ ](?:error|response))?"
    r"\W{0,3}[1-5]\d\d|cURL[ ]error[ ]\d{1,3}|errno:?[ ]\d{1,3}|SQLSTATE\[\w{5})(?!\w|[.,]\d)"
)
_EMAIL: Final = r"(?<![\w.%+-])[\w.%+-]++@[\w-]++(?:\.[\w-]++)+"
_IP: Final = (
    r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|\.\d)"
    r"|(?<![\w:.])(?=[A-Fa-f:]{0,38}[0-9])(?:(?:[0-9A-Fa-f]{1,4}:){4,7}[0-9A-Fa-f]{1,4}"
    r"|(?:(?:[0-9A-Fa-f]{1,4}:){1,6}|:)(?::[0-9A-Fa-f]{1,4}){1,6})(?![\w:])"
)

_TIME: Final = (
    r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d++)?)?(?!\d|:\d)(?:[ ]?[AaPp]\.?[Mm]\b)?"
    r"(?:[ ]?(?:(?:Z|UTC|GMT)\b|[+-]\d\d:?\d\d(?!\d)))?"
)
_DAY: Final = r"\d{1,2}(?:st|nd|rd|th)?"
_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]{0,6}\.?"
_WEEKDAY: Final = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]{0,6},?[ ]"
_DATE: Final = (
    rf"{_START}(?:(?:{_WEEKDAY})?(?:\d{{4}}-\d\d-\d\d|\d{{4}}/\d\d/\d\d"
    r"|\d{1,2}/\d{1,2}/\d\d(?:\d\d)?|\d{1,2}\.\d{1,2}\.\d{4}|\d{1,2}-\d{1,2}-\d{4}"
    rf"|{_DAY}[ -]{_MONTH}[ -]\d{{4}}|{_MONTH}[ ]{_DAY}(?:,?[ ]\d{{4}}|(?=,?[ ]{_TIME})))"
    rf"(?!\d)(?:(?:T|:|,?[ ]){_TIME})?|{_TIME})"
)

_BASE64: Final = (
    r"(?=(?:[a-z0-9+/]*[A-Z]){3})(?=(?:[A-Z0-9+/]*[a-z]){3})(?=(?:[A-Za-z+/]*[0-9]){3})"
    r"[A-Za-z0-9][A-Za-z0-9+/]{23,}+={0,2}"
)
_ID: Final = (
    # UUIDs, JSON web tokens, order keys of WooCommerce.
    rf"{_START}(?:[0-9a-fA-F]{{8}}-(?:[0-9a-fA-F]{{4}}-){{3}}[0-9a-fA-F]{{12}}{_END}"
    r"|eyJ[\w-]{8,}+(?:\.[\w-]++){0,2}|(?<=wc_order_)[A-Za-z0-9]++)"
    # Base64 in both alphabets. A text after a slash or a dot is part of a path.
    rf"|(?<![\w+/.-])(?:{_BASE64}|{_BASE64.replace('+/', '_-')})"
    # Hexadecimal with a letter and a digit, since digits alone are a number.
    rf"|{_START}(?:0[xX][0-9a-fA-F]++|(?=[a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])[0-9a-fA-F]{{8,}}+{_END}"
    # Letters and digits in a mixture that no name has.
    r"|(?=[A-Za-z]*[0-9]++[A-Za-z])(?=[0-9]*[A-Za-z]++[0-9])(?=(?:[A-Za-z]*[0-9]){2})"
    r"[A-Za-z0-9]{12,}+)"
)

_NUMBER: Final = r"\d++(?:[.,]\d++)*(?:[eE][+-]?\d++(?![A-Za-z]))?"
_SIGN: Final = r"(?:(?<![\w)\]>])[+-])?"
_SYMBOL: Final = "[$\N{EURO SIGN}\N{POUND SIGN}\N{YEN SIGN}\N{INDIAN RUPEE SIGN}]"
_CURRENCY: Final = "(?:AUD|CAD|CHF|CZK|DKK|EUR|GBP|INR|JPY|NOK|NZD|PLN|SEK|USD)"
_AMOUNT: Final = (
    rf"{_SIGN}(?:{_SYMBOL}|{_START}{_CURRENCY})[ ]?[+-]?{_NUMBER}"
    rf"|{_SIGN}{_START}{_NUMBER}(?:[ ]?(?:{_SYMBOL}(?!\w)|{_CURRENCY}{_END}))?"
    # Three digits after a letter may belong to a name, such as sha256.
    r"|(?<=[A-Za-z])\d{4,}+"
)

# The first group that matches wins. Nothing is masked inside of what is kept, such as a mask.
_MASKED: Final = re.compile(
    rf"(?P<keep><(?:id|date|n|email|ip)>|{_SITE}[^\s/?#\"'<>]*+|{_CODE})"
    rf"|(?P<email>{_EMAIL})|(?P<ip>{_IP})|(?P<date>{_DATE})|(?P<id>{_ID})|(?P<n>{_AMOUNT})"
)


def fingerprint(message: str) -> str:
    """Return a message with its variable parts masked, in at most 200 characters.

    The masks are ``<id>``, ``<date>``, ``<n>``, ``<email>`` and ``<ip>``. The scheme and host of a
    URL stay, and so do numbers that say which failure it was: three-digit codes after HTTP, status
    or code, and those of cURL, errno and SQLSTATE. Only the first 2,000 characters count. No text
    raises an error, and the fingerprint of a fingerprint is the same text.
    """
    text = message[:READ_CHARS]
    # Cutting and masking can uncover more to mask. Each round leaves less unmasked text, so the
    # loop ends.
    while (masked := _masked(text)) != text:
        text = masked
    return text


def _masked(text: str) -> str:
    text = _PREFIX.sub("", " ".join(text.split()))
    text = _PASSWORD.sub(r"\1", _QUERY.sub(r"\1<id>", text))
    text = _MASKED.sub(_mask, text)
    return _LIST.sub(r"<\1>", text)[:_MOST_CHARS].rstrip()


def _mask(found: re.Match[str]) -> str:
    return found[0] if found.lastgroup == "keep" else f"<{found.lastgroup}>"
