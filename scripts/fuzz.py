"""Random inputs are given to PHP and to our codec until the time is up; both must answer the same.

PHP, WordPress's JSON and the plugin's own classes answer in one process, tests/php/oracle.php. The
plugin is found by WPBRIDGE_TEST_PLUGIN, WordPress by WPBRIDGE_TEST_WORDPRESS or where Debian puts
it. Every round has a seed of its own: a difference is printed with it, and with the input.
"""

import argparse
import base64
import itertools
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import fuzz_cases
from wpbridge.clock import from_timestamp
from wpbridge.codec import args, cron, php, schedule
from wpbridge.errors import CodecError, CronError

ORACLE = Path(__file__).parent.parent / "tests" / "php" / "oracle.php"
WORDPRESS = Path("/usr/share/wordpress")
ROUND = 500
"""Cases of one seed."""
MOST_SEEDS = 1 << 32
MOST_SHOWN = 20
MOST_SECONDS = 10**13
"""PHP's date parser takes no more digits than these seconds have for one number."""
RAN_AT = 2_000_000_000
"""When the oracle's schedules ran."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One fuzzer."""

    cases: Callable[[random.Random], Iterator[tuple[str, bytes]]]
    """Operations of the oracle, each with its input, without an end."""
    needs_plugin: bool


@dataclass(frozen=True, slots=True)
class Difference:
    """An input that both sides do not read alike."""

    operation: str
    case: bytes
    theirs: bytes | None
    ours: bytes | None

    def __str__(self) -> str:
        return (
            f"{self.operation} {self.case!r}\n"
            f"  again: echo {self.operation} {base64.b64encode(self.case).decode()}\n"
            f"  php   {self.theirs!r}\n  ours  {self.ours!r}"
        )


class Oracle:
    """The PHP process."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def ask(self, questions: Sequence[tuple[str, bytes]]) -> list[bytes | None]:
        """Answer each question; None where PHP refuses the input."""
        reader, writer = self._process.stdout, self._process.stdin
        assert reader is not None
        assert writer is not None
        answers: list[bytes | None] = []
        for operation, data in questions:
            # One at a time: neither pipe can fill.
            writer.write(f"{operation} {base64.b64encode(data).decode()}\n".encode())
            writer.flush()
            line = reader.readline()
            if not line:
                raise RuntimeError(f"the oracle died of {operation} {data!r}")
            answers.append(None if line == b"-\n" else base64.b64decode(line[1:]))
        return answers


@contextmanager
def oracle(plugin: str = "") -> Iterator[Oracle]:
    """Start the oracle, and end it afterwards."""
    wordpress = Path(os.environ.get("WPBRIDGE_TEST_WORDPRESS") or WORDPRESS)
    folder = str(wordpress) if (wordpress / "wp-includes").is_dir() else ""
    command = ["php", "-d", "memory_limit=1G", str(ORACLE), plugin, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield Oracle(process)
        finally:
            process.terminate()


def missing(kind: str) -> str | None:
    """Tell what a fuzzer needs and does not find; None when all is there."""
    if shutil.which("php") is None:
        return "php is not installed (apt-get install php-cli)"
    if KINDS[kind].needs_plugin and not os.environ.get("WPBRIDGE_TEST_PLUGIN"):
        return "WPBRIDGE_TEST_PLUGIN does not name the plugin's folder"
    return None


def differences(kind: str, seed: int, count: int, php_side: Oracle) -> list[Difference]:
    """Compare so many cases of one seed."""
    rng = random.Random(seed)  # noqa: S311 - to be repeated
    questions = list(itertools.islice(KINDS[kind].cases(rng), count))
    found = []
    for (operation, case), theirs in zip(questions, php_side.ask(questions), strict=True):
        mine = OURS[operation](case)
        if mine != theirs and not _is_known(operation, case, theirs):
            found.append(Difference(operation, case, theirs, mine))
    return found


def _is_known(operation: str, case: bytes, theirs: bytes | None) -> bool:
    """Tell where both may differ.

    PHP dies of some schedules after their action has run; there is no answer to be like. It reads
    dates in words, which we refuse and say so. Of an interval with more than 13 digits it makes
    another one, and it goes on with a cron expression whose parts are no list, where we end the
    chain and say so.
    """
    if operation != "schedule" or theirs is None:
        return False
    if theirs.endswith(b" fatal"):
        return True
    try:
        told = schedule.decode(case)
    except CodecError as error:
        return "in words" in str(error)
    if isinstance(told, schedule.Cron):
        return not told.expression
    return isinstance(told, schedule.Interval) and abs(told.seconds) >= MOST_SECONDS


# What we make of the same inputs


def our_args(text: bytes) -> bytes | None:
    """Stored JSON as the next repeat stores it."""
    try:
        return args.canonical(args.decode(text).mapping).encode()
    except CodecError:
        return None


def our_encoding(blob: bytes) -> bytes | None:
    """A PHP value as it is stored."""
    try:
        return args.encode(args.from_php(php.decode(blob))).encode()
    except CodecError:
        return None


def our_cron(text: bytes) -> bytes | None:
    """The next date of an expression."""
    after, allow, expression = text.split(b" ", 2)
    try:
        parsed = cron.parse(expression.decode("utf-8", "surrogateescape"))
        found = cron.next_date(parsed, from_timestamp(int(after)), allow_current=allow == b"1")
    except CronError:
        return None
    return b"%d" % int(found.timestamp())


def our_schedule(blob: bytes) -> bytes | None:
    """What a schedule means, and its successor's."""
    try:
        told = schedule.decode(blob)
    except CodecError:
        return None
    match told:
        case schedule.ForeignSchedule():
            return None
        case schedule.Async():
            moment = "none"
        case _:
            moment = "now" if told.timestamp is None else str(told.timestamp)
    words = [told.php_class, moment]
    if isinstance(told, schedule.Interval | schedule.Cron):
        words.append(_successor(told))
    return " ".join(words).encode()


def _successor(told: schedule.Interval | schedule.Cron) -> str:
    if not told.is_recurring:
        return "ends"
    try:
        following = schedule.next_after_run(told, ran_at=from_timestamp(RAN_AT))
        if following is None:
            return "ends"
        blob = schedule.encode(following)
    except (CodecError, CronError):
        return "error"
    if told.first_timestamp is None:
        return f"next {following.timestamp}"
    return base64.b64encode(blob).decode()


OURS: dict[str, Callable[[bytes], bytes | None]] = {
    "args": our_args,
    "encode": our_encoding,
    "cron": our_cron,
    "schedule": our_schedule,
}
KINDS = {
    "args": Kind(fuzz_cases.args_cases, needs_plugin=False),
    "cron": Kind(fuzz_cases.cron_cases, needs_plugin=True),
    "schedule": Kind(fuzz_cases.schedule_cases, needs_plugin=True),
}


def main() -> int:
    parser = argparse.ArgumentParser(description="Random inputs, read by PHP and by us.")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--minutes", type=float, default=1.0, help="start no round after this")
    parser.add_argument("--seed", type=int, help="of the first round; the others follow from it")
    wanted = parser.parse_args()
    if reason := missing(wanted.kind):
        print(f"fuzz: {reason}", file=sys.stderr)
        return 78
    first = random.SystemRandom().randrange(MOST_SEEDS) if wanted.seed is None else wanted.seed
    print(f"fuzz: {wanted.kind}, seed {first}", flush=True)
    end, seed, rounds, found = time.monotonic() + wanted.minutes * 60, first, 0, 0
    with oracle(os.environ.get("WPBRIDGE_TEST_PLUGIN", "")) as php_side:
        while time.monotonic() < end and found < MOST_SHOWN:
            for difference in differences(wanted.kind, seed, ROUND, php_side):
                found += 1
                print(f"seed {seed}: {difference}", flush=True)
            rounds += 1
            seed = random.Random(seed).randrange(MOST_SEEDS)  # noqa: S311 - to be repeated
    print(f"fuzz: {wanted.kind}, seed {first}: {rounds * ROUND:,} cases, {found} differences")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
