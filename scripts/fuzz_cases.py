"""The inputs of scripts/fuzz: mostly what PHP writes, changed a little, and some junk."""

import random
from collections.abc import Iterator

from wpbridge.clock import from_timestamp
from wpbridge.codec import cron, php, schedule
from wpbridge.errors import CronError

RAN_AT = 2_000_000_000
NUL = "\0"
START = from_timestamp(1_700_000_000)


def damaged(rng: random.Random, data: bytes, junk: bytes) -> bytes:
    """Change, lose, add or repeat some bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(data) + 1)
        piece = bytes(rng.choices(junk, k=rng.choice((1, 1, 2))))
        match rng.randrange(5):
            case 0:
                data = data[:at] + data[at + 1 :]
            case 1:
                data = data[:at] + piece + data[at:]
            case 2:
                data = data[:at] + piece + data[at + len(piece) :]
            case 3:
                data = data[:at]
            case _:
                end = rng.randrange(at, min(len(data), at + 12) + 1)
                data = data[:end] + data[at:end] + data[end:]
    return data


# Args

_JSON_JUNK = b'0123456789:,{}[]"-+.eE\\/u tfnaN\x00\x0b\x7f\xc3\xa9\xff\xed\xa0\x80'
_PIECES = (
    *("a", "é", "\\u00e9", "\\ud83d\\ude00", "\\ud800", "\\uDC00\\ud800", "😀", "\\/", "/", '\\"'),
    *("\\\\", "\x7f", "\\u0000", "\\u2028", "\u2028", "<", "&", "'", "\\b", "\\x", "\\u12"),
)
_NAMES = ("a", "", "0", "1", "2", "05", "-1", "-0", "\\u0030", "9223372036854775807", "__proto__")
_NUMBERS = (
    *("null", "true", "false", "TRUE", "1.0", "-0.0", "-0", "0", "1e5", "1E-7", "1e16", "1E400"),
    *("-1e999", "1e-400", "0.1", "1.7976931348623157e308", "5e-324", "01", "1.", ".5", "-", "+1"),
    *("9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e15", "123456789e7"),
)


def args_cases(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield stored JSON, whole and damaged, and PHP values to be stored."""
    while True:
        text = json_text(rng, 0).encode()
        if rng.random() < 0.4:
            text = damaged(rng, text, _JSON_JUNK)
        yield "args", text
        yield "encode", php.encode({0: value(rng, 0)})


def json_text(rng: random.Random, depth: int) -> str:
    """Return JSON that is nearly always right."""
    kind = rng.choice("aaoosnif" if depth < 5 else "snif")
    space = rng.choice(("", "", "", " ", "\n\t", "\r"))
    count = rng.choice((0, 1, 2, 3, 5))
    if kind == "a" or depth == 0 == rng.randrange(2):
        members = (json_text(rng, depth + 1) for _ in range(count))
        return f"{space}[{space}{f',{space}'.join(members)}]{space}"
    if kind == "o":
        names = (rng.choice((str(n), *_NAMES)) for n in range(count))
        pairs = (f'"{name}"{space}:{space}{json_text(rng, depth + 1)}' for name in names)
        return f"{space}{{{','.join(pairs)}{space}}}"
    if kind == "s":
        return f'"{"".join(rng.choices(_PIECES, k=rng.randint(0, 5)))}"'
    if kind == "n":
        return rng.choice(_NUMBERS)
    if kind == "f":
        return repr(rng.uniform(-1, 1) * 10.0 ** rng.randint(-320, 308))
    return str(rng.choice((0, -1, rng.randint(-(2**64), 2**64), rng.randint(-9999, 9999))))


def value(rng: random.Random, depth: int) -> php.PhpValue:
    """Return a PHP value without cycles."""
    kind = rng.choice("aaosnif" if depth < 4 else "snif")
    if kind == "a":
        keys = (0, 1, 2, 3, -5, b"a", b"", b"05", b"-0", b"9223372036854775808", b"\0x")
        start: tuple[php.PhpKey, ...] = rng.choice((keys, (0, 1, 2, 3)))
        return {key: value(rng, depth + 1) for key in rng.sample(start, rng.randint(0, 4))}
    if kind == "o":
        properties = (b"a", b"b", b"5", b"", b"\xc3\xa9")
        names = rng.sample(properties, rng.randint(0, 3))
        return php.PhpObject("stdClass", {key: value(rng, depth + 1) for key in names})
    if kind == "s":
        letters = ("a", "é", "😀", "/", '"', "\\", "\x7f", "\0", "\u2028", "<", "\n", "0")
        return "".join(rng.choices(letters, k=rng.randint(0, 6))).encode()
    if kind == "n":
        return rng.choice((None, True, False, 0.1, -0.0, 1e25, 1e15, float("inf"), float("nan")))
    if kind == "f":
        return rng.uniform(-1, 1) * 10.0 ** rng.randint(-320, 308)
    return rng.choice((0, -1, 2**63 - 1, -(2**63), rng.randint(-(2**63), 2**63 - 1)))


# Cron expressions

_FIELDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7), (2000, 2060))
_DAYS = ("SUN", "mon", "Tue", "WED", "THU", "FRI", "SAT")
_MONTHS = ("JAN", "feb", "Mar", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_CRON_JUNK = b"0123456789*,/-?LW#.xeSUNMOJA+ \t\n\0\xc5\xbf"
_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@hourly", "@DAILY", "@reboot")


def cron_cases(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield expressions, mostly sensible ones, each with the date to start from."""
    while True:
        after = rng.randint(946_684_800, 2_208_988_800)
        if rng.random() < 0.3:
            after = after // 60 * 60
        text = expression(rng).encode()
        if rng.random() < 0.15:
            text = damaged(rng, text, _CRON_JUNK)
        if not (is_endless(text) and rng.random() < 0.99):
            yield "cron", b"%d %d %s" % (after, rng.randrange(2), text)


def is_endless(text: bytes) -> bool:
    """Tell whether PHP would never come back, as we have it: its answer takes a second."""
    try:
        cron.next_date(cron.parse(text.decode("utf-8", "surrogateescape")), START)
    except CronError as error:
        return "never ends" in str(error)
    return False


def expression(rng: random.Random) -> str:
    """Return an expression of five or six fields, or a macro."""
    if rng.random() < 0.03:
        return rng.choice(_MACROS)
    count = rng.choice((5, 5, 5, 5, 6))
    space = rng.choice((" ", " ", " ", "  ", "\t"))
    return space.join(_field(rng, place) for place in range(count))


def _field(rng: random.Random, place: int) -> str:
    if rng.random() < 0.45:
        return "*"
    return ",".join(_part(rng, place) for _ in range(rng.choice((1, 1, 1, 2, 3))))


def _part(rng: random.Random, place: int) -> str:
    low, high = _FIELDS[place]
    number = str(rng.randint(low, high)).zfill(rng.choice((1, 1, 1, 2)))
    other = str(rng.randint(low, high + rng.choice((0, 0, 0, 3))))
    step = str(rng.choice((1, 2, 3, 5, 7, 10, 15, rng.randint(1, high))))
    forms = [number, number, f"{number}-{other}", f"*/{step}", f"{number}-{other}/{step}"]
    forms += [f"{number}/{step}", f"0/{step}"]
    if place == 2:
        forms += ["L", "?", f"{number}W", "LW"]
    if place == 3:
        name = rng.choice(_MONTHS)
        forms += [name, f"{name}-{rng.choice(_MONTHS)}"]
    if place == 4:
        day = rng.choice(_DAYS)
        forms += [day, f"{day}-{rng.choice(_DAYS)}", "?", f"{number}L", f"{day}L"]
        forms += [f"{number}#{rng.randint(1, 5)}", f"{day}#{rng.randint(1, 6)}"]
    return rng.choice(forms)


# Schedules

_PHP_JUNK = b'0123456789:;{}"aOsidbNRrSCE-+.* \n\0'
_CLASSES = (
    *("NullSchedule", "SimpleSchedule", "CanceledSchedule"),
    *("IntervalSchedule", "IntervalSchedule", "CronSchedule", "CronSchedule"),
)
_PROPERTIES = {
    "IntervalSchedule": ("start_timestamp", "interval_in_seconds"),
    "CronSchedule": ("start_timestamp", "cron"),
}


def schedule_cases(rng: random.Random) -> Iterator[tuple[str, bytes]]:
    """Yield schedules as the plugin writes them, in odd forms, and damaged.

    Left out is what we refuse and PHP does not mind: an interval that is an object or an array,
    which it counts as a second, and a reference to the schedule itself.
    """
    while True:
        blob = written(rng) if rng.random() < 0.3 else composed(rng)
        if rng.random() < 0.3:
            blob = damaged(rng, blob, _PHP_JUNK)
        if rng.random() < 0.1:
            blob += rng.choice((b"\n", b"\r\n", b" ", b"\0", b"}", b";", b"N;", rng.randbytes(2)))
        yield "schedule", blob


def written(rng: random.Random) -> bytes:
    """Return a schedule just as the plugin writes it, but for letter case."""
    at, first = _moment(rng), _moment(rng)
    kinds: tuple[schedule.Schedule, ...] = (
        schedule.Async(),
        schedule.Single(timestamp=at),
        schedule.Canceled(timestamp=at),
        schedule.Interval(timestamp=at, first_timestamp=first, recurrence=rng.randint(1, 10**7)),
        schedule.Cron(timestamp=at, first_timestamp=first, expression=_expression(rng)),
    )
    blob = schedule.encode(rng.choice(kinds))
    if rng.random() < 0.2:
        change = rng.choice((bytes.lower, bytes.upper, bytes.swapcase))
        name = rng.choice((b"ActionScheduler", b"CronExpression", b"Schedule"))
        blob = blob.replace(name, change(name), rng.randint(1, 9))
    return blob


def composed(rng: random.Random) -> bytes:
    """Return a schedule of any properties under any names, with values of any type."""
    short = rng.choice(_CLASSES)
    name = _recased(rng, f"ActionScheduler_{short}")
    known = ["scheduled_timestamp", "timestamp", "first_timestamp", "recurrence"]
    known += _PROPERTIES.get(short, ())
    rng.shuffle(known)
    chosen = known[: rng.randint(0, len(known))]
    entries = b"".join(
        _string(rng, _owned(rng, f"ActionScheduler_{short}", one).encode())
        + _value(rng, one, is_cron=short == "CronSchedule")
        for one in chosen
    )
    count = len(chosen) + (rng.random() < 0.03)
    head = rng.choice((b"O", b"O", b"O", b"O", b"O", b"O", b"O", b"C", b"o"))
    zeros, signs = rng.choice((b"", b"", b"", b"0", b"00000")), rng.choice((b"", b"", b"", b"+"))
    if head == b"C":
        count = len(entries)
    return b'%s:%s%d:"%s":%s%s%d:{%s}' % (
        *(head, zeros, len(name), name.encode(), signs, zeros, count, entries),
    )


def _moment(rng: random.Random) -> int:
    near = RAN_AT + rng.randint(-100, 100)
    return rng.choice((near, near, rng.randint(1, 4_000_000_000), rng.randint(-(10**9), 10**9)))


def _expression(rng: random.Random) -> str:
    return " ".join(_field(rng, place) for place in range(5))


def _recased(rng: random.Random, text: str) -> str:
    return rng.choice((text, text, text, text.lower(), text.upper(), text.swapcase()))


def _owned(rng: random.Random, own: str, name: str) -> str:
    """Return a property's name as it is stored: public, protected or private to somebody."""
    parent = "ActionScheduler_Abstract_Schedule"
    owners = (own, own, parent, "ActionScheduler_Abstract_RecurringSchedule", "Foo")
    return rng.choice(
        (
            name,
            f"{NUL}*{NUL}{name}",
            f"{NUL}*{NUL}{name}",
            f"{NUL}{_recased(rng, rng.choice(owners))}{NUL}{name}",
        )
    )


def _value(rng: random.Random, name: str, *, is_cron: bool) -> bytes:
    if name in ("recurrence", "cron", "interval_in_seconds"):
        if is_cron and rng.random() < 0.8:
            return _cron_object(rng)
        return _number(rng, rng.choice((60, 3600, 0, 1, -5, rng.randint(-(10**6), 10**8))))
    if rng.random() < 0.8:
        return _number(rng, _moment(rng))
    return rng.choice(
        (
            *(b"N;", b"b:0;", b"b:1;", b"a:0:{}", b'O:8:"stdClass":0:{}', b"d:NAN;", b"d:INF;"),
            *(b"r:1;", b"R:2;", b"r:2;", b"i:0;", b'S:2:"\\35\\36";', b'S:1:"5";'),
            _string(rng, rng.choice((b"", b" ", b"0", b"-1", b"abc", b"12abc", b" 77 ", b"1e3"))),
        )
    )


def _number(rng: random.Random, number: int) -> bytes:
    text = b"%d" % number
    match rng.randrange(9):
        case 0:
            return b"d:%s;" % rng.choice((text, b"%s.0" % text, b"%s.5" % text, text + b"E0"))
        case 1:
            forms = (text, text, b" " + text, text + b" ", text + b".0", b"+" + text, b"0" + text)
            return _string(rng, rng.choice(forms))
        case 2:
            return b"i:%s;" % rng.choice((b"+" + text.lstrip(b"-"), b"000" + text.lstrip(b"-")))
        case _:
            return b"i:%s;" % text


def _string(rng: random.Random, text: bytes) -> bytes:
    zeros = rng.choice((b"", b"", b"", b"", b"", b"0"))
    return b's:%s%d:"%s";' % (zeros, len(text), text)


def _cron_object(rng: random.Random) -> bytes:
    blob = schedule.encode(
        schedule.Cron(timestamp=1, first_timestamp=1, expression=_expression(rng))
    )
    start = blob.index(b'O:14:"CronExpression"')
    end = blob.index(b's:45:"')
    inner = blob[start:end]
    if rng.random() < 0.2:
        inner = inner.replace(b"CronExpression", _recased(rng, "CronExpression").encode())
    return inner
