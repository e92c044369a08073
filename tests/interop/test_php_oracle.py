"""PHP itself says what is right: one process answers every case of a test."""

import base64
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime

import pytest

from wpbridge.codec import args, php
from wpbridge.errors import CodecError
from wpbridge.site.zone import Zone

SEED = 20_260_101
CASES = 3000

# A line is an operation and its input in base64; "-" answers that PHP refuses it.
ORACLE = r"""
error_reporting(0);
class Node { public $a; protected $b; private $c;
  function set($a, $b, $c) { $this->a = $a; $this->b = $b; $this->c = $c; return $this; }
  function share(&$x) { $this->a = &$x; $this->b = &$this->a; return $this; } }
enum Suit: string { case Up = 'u'; case Down = 'd'; }
function leaf() {
  $all = [null, true, mt_rand(-9, 9), mt_rand() / 7, 1e25, -0.0, INF, "a\0\xff", 'é', Suit::Up];
  return $all[mt_rand(0, 9)]; }
function graph($depth, &$pool) {
  $kind = $depth ? mt_rand(0, 6) : 6;
  if ($kind === 6) { $made = leaf(); }
  elseif ($kind === 5 && $pool) { return $pool[mt_rand(0, count($pool) - 1)]; }
  elseif ($kind === 4) { $made = new Node; $pool[] = $made;
    $shared = graph($depth - 1, $pool); $made->share($shared); }
  elseif ($kind === 3) { $made = new Node; $pool[] = $made;
    $made->set(graph($depth - 1, $pool), $made, graph($depth - 1, $pool)); }
  else { $made = []; $count = mt_rand(0, 3);
    for ($i = 0; $i < $count; $i++) {
      $made[mt_rand(0, 1) ? $i : "k$i"] = graph($depth - 1, $pool); }
    if ($kind === 2) {
      $box = leaf(); $made['x'] = &$box; $made['y'] = &$box; $made['z'] = &$made['x']; }
    if ($kind === 1) { $made['self'] = &$made; } }
  return $made; }
while (($line = fgets(STDIN)) !== false) {
  [$op, $data] = explode(' ', rtrim($line, "\n"));
  $data = base64_decode($data);
  $out = null;
  if ($op === 'repeat') {
    $value = unserialize($data, ['max_depth' => 512]);
    if ($value !== false || $data === 'b:0;') { $out = serialize($value); }
  } elseif ($op === 'json') {
    $out = json_encode(unserialize($data));
  } elseif ($op === 'rejson') {
    $value = json_decode($data, true);
    if (is_array($value)) { $out = json_encode($value); }
  } elseif ($op === 'graph') {
    mt_srand((int) $data); $pool = []; $out = serialize(graph(5, $pool));
  } elseif ($op === 'double') {
    $number = (float) $data; $out = serialize($number) . json_encode($number);
  } elseif ($op === 'zone') {
    try {
      $zone = new DateTimeZone($data);
      $out = $zone->getOffset(new DateTime('@1767225600')) . ' '
           . $zone->getOffset(new DateTime('@1782864000'));
    } catch (Throwable $refused) {}
  } elseif ($op === 'offset') {
    $offset = (float) $data; $hours = (int) $offset; $minutes = $offset - $hours;
    $text = sprintf('%s%02d:%02d', $offset < 0 ? '-' : '+', abs($hours), abs($minutes * 60));
    try { $out = (string) (new DateTimeZone($text))->getOffset(new DateTime('@0')); }
    catch (Throwable $refused) { $out = '0'; }
  }
  echo is_string($out) ? '=' . base64_encode($out) : '-', "\n";
}
"""

Answers = Callable[[str, Sequence[bytes]], list[bytes | None]]


@pytest.fixture(scope="module")
def oracle() -> Answers:
    program = shutil.which("php")
    if program is None:
        reason = "php is not installed (apt-get install php-cli)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)

    def ask(operation: str, cases: Sequence[bytes]) -> list[bytes | None]:
        lines = (f"{operation} {base64.b64encode(case).decode()}\n" for case in cases)
        done = subprocess.run(
            [program, "-n", "-d", "serialize_precision=-1", "-r", ORACLE],
            input="".join(lines).encode(),
            capture_output=True,
            check=True,
        )
        answers = done.stdout.decode().splitlines()
        assert len(answers) == len(cases), done.stderr
        return [None if line == "-" else base64.b64decode(line[1:]) for line in answers]

    return ask


def differences(
    cases: Iterable[bytes],
    expected: Iterable[bytes | None],
    ours: Callable[[bytes], bytes],
) -> list[str]:
    found = []
    for case, answer in zip(cases, expected, strict=True):
        try:
            mine: bytes | None = ours(case)
        except CodecError:
            mine = None
        if mine != answer:
            found.append(f"{case!r}\n  php  {answer!r}\n  ours {mine!r}")
    return found


def dice(number: int) -> random.Random:
    return random.Random(SEED + number)  # noqa: S311 - these draw cases, not secrets


def reencoded(blob: bytes) -> bytes:
    return php.encode(php.decode(blob, ignore_rest=True))


def as_json(blob: bytes) -> bytes:
    return args.encode(args.from_php(php.decode(blob))).encode()


def repeated(text: bytes) -> bytes:
    return args.canonical(args.decode(text).mapping).encode()


def test_graphs_with_cycles_and_references_are_written_back_byte_for_byte(oracle: Answers) -> None:
    seeds = [str(seed).encode() for seed in range(CASES)]
    blobs = [blob for blob in oracle("graph", seeds) if blob is not None]
    assert len(blobs) == CASES
    wrong = differences(blobs, blobs, reencoded)
    assert not wrong, "\n".join(wrong[:5])


def test_php_and_we_write_the_same_for_what_both_read(oracle: Answers) -> None:
    rng = dice(0)
    blobs = [serialized(rng, 0) for _ in range(CASES)]
    wrong = differences(blobs, oracle("repeat", blobs), reencoded)
    assert not wrong, "\n".join(wrong[:5])


def test_damaged_blobs_are_refused_by_both_or_by_none(oracle: Answers) -> None:
    rng = dice(1)
    blobs = [damaged(rng, serialized(rng, 0)) for _ in range(CASES)]
    wrong = differences(blobs, oracle("repeat", blobs), reencoded)
    assert not wrong, "\n".join(wrong[:5])


def test_args_are_written_as_json_encode_does(oracle: Answers) -> None:
    rng = dice(2)
    blobs = [b"a:1:{i:0;" + serialized(rng, 0, text=True) + b"}" for _ in range(CASES)]
    wrong = differences(blobs, oracle("json", blobs), as_json)
    assert not wrong, "\n".join(wrong[:5])


def test_stored_args_are_read_and_written_again_as_php_does(oracle: Answers) -> None:
    rng = dice(3)
    texts = [json_text(rng, 0).encode() for _ in range(CASES)]
    texts += [damaged(rng, text) for text in texts]
    wrong = differences(texts, oracle("rejson", texts), repeated)
    assert not wrong, "\n".join(wrong[:5])


def test_depth_ends_where_it_ends_in_php(oracle: Answers) -> None:
    texts = [b"[" * n + inner + b"]" * n for n in range(508, 516) for inner in (b"", b"1", b"{}")]
    assert not differences(texts, oracle("rejson", texts), repeated)
    blobs = [b"a:1:{i:0;" * n + b"N;" + b"}" * n for n in range(508, 516)]
    assert not differences(blobs, oracle("json", blobs), as_json)


def test_floats_are_laid_out_as_php_does(oracle: Answers) -> None:
    rng = dice(4)
    numbers = [rng.uniform(-1, 1) * 10.0 ** rng.randint(-320, 308) for _ in range(CASES)]
    numbers += [sign * 10.0**power for power in range(-30, 30) for sign in (1, -1)]
    numbers += [float(rng.randint(-(10**18), 10**18)) for _ in range(CASES)]

    def ours(text: bytes) -> bytes:
        number = float(text)
        return php.encode(number) + args.encode(number).encode()

    texts = [repr(number).encode() for number in numbers]
    wrong = differences(texts, oracle("double", texts), ours)
    assert not wrong, "\n".join(wrong[:5])


ZONES = (
    *("GMT+2", "UTC+5.5", "Etc/GMT-3", "europe/rome", "CET", "cest", "EST", "Z", "a", "J", "utc"),
    *("+02:00", "-3", "+100:00", "+99:59:59", "GMT-0330", "GMT0", "W-SU", "EST5EDT", "(CET)", "0"),
    *("America/Argentina/Buenos_Aires", "Mars/Olympus", "Universal", "IST", "BST", "HST", "+::"),
)


def test_zones_are_the_ones_that_php_takes_for_the_name(oracle: Answers) -> None:
    rng = dice(5)
    names = [name.encode() for name in ZONES]
    names += [damaged(rng, rng.choice(names[: len(ZONES)])) for _ in range(CASES)]
    # Debian's PHP looks for files, so it takes "/CET" too; a blank at an end is ours to forgive.
    names = [name for name in names if name.strip() == name and name not in (b"", b"0")]
    names = [name for name in names if not name.lstrip(b" (").startswith(b"/")]
    wrong = differences(names, oracle("zone", names), offsets)
    assert not wrong, "\n".join(wrong[:5])


def test_offsets_are_read_as_wordpress_reads_them(oracle: Answers) -> None:
    rng = dice(6)
    texts = [b"5.1", b"1e400", b"-0.5", b"99", b"1e1", b".5", b"x", b"", b"nan", b" 5.75 "]
    texts += [damaged(rng, b"%.2f" % rng.uniform(-30, 30)) for _ in range(CASES)]

    def ours(text: bytes) -> bytes:
        at = datetime(2026, 1, 1, tzinfo=UTC)
        shift = Zone.from_options("", text.decode()).attempt_local(at) - at.replace(tzinfo=None)
        return b"%d" % shift.total_seconds()

    wrong = differences(texts, oracle("offset", texts), ours)
    assert not wrong, "\n".join(wrong[:5])


def offsets(name: bytes) -> bytes:
    """The distances from UTC in winter and in summer."""
    zone = Zone.from_options(name.decode(), "")
    if zone.named is None:
        raise CodecError("no zone")
    dates = (datetime.fromtimestamp(at, UTC) for at in (1_767_225_600, 1_782_864_000))
    shifts = [zone.log_local(date) - date.replace(tzinfo=None) for date in dates]
    return b"%d %d" % tuple(shift.total_seconds() for shift in shifts)


def serialized(rng: random.Random, depth: int, *, text: bool = False) -> bytes:
    """A random blob: without references when it becomes JSON text, perhaps with broken ones."""
    kind = rng.choice("NbidssaaO" if depth < 4 else "Nbids")
    if kind == "a":
        return container(rng, depth, b"a:%d:{%s}", array_key, text=text)
    if kind == "O":
        return container(rng, depth, b'O:8:"stdClass":%d:{%s}', property_name, text=text)
    if kind == "s":
        alphabet = 'ab05é€😀/\\"\x7f\n\0<' if text else "a\xff"
        value = "".join(rng.choices(alphabet, k=rng.randint(0, 6))).encode()
        return php.encode(value if text else value + rng.randbytes(2))
    if kind == "d":
        number = rng.choice([0.1, -0.0, 1e25, 1e15, rng.random(), rng.uniform(-1e20, 1e20)])
        return php.encode(number if text else rng.choice([number, float("inf"), float("nan")]))
    if kind == "i":
        return b"i:%d;" % rng.choice([0, -1, rng.randint(-(2**63), 2**63 - 1)])
    return b"b:%d;" % rng.randint(0, 1) if kind == "b" else b"N;"


def container(
    rng: random.Random,
    depth: int,
    layout: bytes,
    key: Callable[[random.Random], bytes],
    *,
    text: bool,
) -> bytes:
    names = {key(rng): None for _ in range(rng.randint(0, 4))}
    entries = b""
    for name in names:
        broken = not text and rng.random() < 0.15
        # Slot 1 is the value given to serialize() and is never a reference there.
        back = b"%s:%d;" % (rng.choice((b"r", b"R")), rng.randint(2, 12))
        entries += name + (back if broken else serialized(rng, depth + 1, text=text))
    return layout % (len(names), entries)


def array_key(rng: random.Random) -> bytes:
    names: tuple[int | bytes, ...] = (0, 1, 2, -5, b"a", b"", b"05", b"-0", b"9223372036854775808")
    return php.encode(rng.choice(names))


def property_name(rng: random.Random) -> bytes:
    return php.encode(rng.choice((b"a", b"b", b"\0*\0a", b"\0stdClass\0q", b"\0Foo\0a")))


def json_text(rng: random.Random, depth: int) -> str:
    kind = rng.choice("aaoosni" if depth < 4 else "sni")
    space = rng.choice(("", "", " ", "\n\t"))
    members = range(rng.randint(0, 4))
    if kind == "a" or depth == 0:
        return f"[{space}{f',{space}'.join(json_text(rng, depth + 1) for _ in members)}]"
    if kind == "o":
        names = ("a", "", "05", "-1", "\\u0030", "9223372036854775808")
        pairs = (
            f'"{rng.choice((str(n), str(n), *names))}"{space}:{json_text(rng, depth + 1)}'
            for n in members
        )
        return f"{{{','.join(pairs)}}}"
    if kind == "s":
        pieces = (
            "a",
            "é",
            "\\u00e9",
            "\\ud83d\\ude00",
            "😀",
            "\\/",
            "/",
            '\\"',
            "\\\\",
            "\x7f",
            "\\u0000",
        )
        return f'"{"".join(rng.choices(pieces, k=rng.randint(0, 5)))}"'
    if kind == "n":
        return rng.choice(("null", "true", "false", "1.0", "-0.0", "-0", "1e5", "1E-7", "1e16"))
    return str(rng.choice((0, -1, rng.randint(-(2**64), 2**64), 2**63, 2**63 - 1, -(2**63))))


def damaged(rng: random.Random, data: bytes) -> bytes:
    """One byte changed, lost or added."""
    place = rng.randrange(len(data))
    junk = bytes([rng.choice(b'0123456789:;{}"aOsidbNR-+.eE\\/[] ,tfn')])
    kept = rng.choice((0, 1))
    added = rng.choice((b"", junk)) if kept == 0 else junk
    return data[:place] + added + data[place + 1 - kept :]
