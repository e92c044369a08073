"""The line for cron: read as cron and a shell read it, it starts the right words in the right folder."""

import json
import os
import pwd
import re
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from wpbridge.errors import ConfigError
from wpbridge.installing.cron_line import cron_line
from wpbridge.installing.started_site import StartedSite

AT_ONCE = next(f"site {n}" for n in range(1000) if zlib.crc32(f"site {n}".encode()) % 20 == 0)
"""The label of a site whose run starts with the minute."""
ODD = ["a b", "100%", "%", "it's", '"q"', "$HOME", "a;b", "a\\b", "", "100%'%", "*", "ü"]
PROGRAM = f"""#!{sys.executable}
import json, os, sys
print(json.dumps([os.getcwd(), os.environ.get("PATH"), sys.argv[1:]]))
"""


@pytest.fixture
def started(tmp_path: Path) -> StartedSite:
    """A site whose folder and program have names that need quotes."""
    folder = tmp_path / "a shop, 50% off's"
    folder.mkdir()
    program = folder / "wp bridge%"
    program.write_text(PROGRAM, "utf-8")
    program.chmod(0o755)
    return StartedSite(
        name="shop",
        label=AT_ONCE,
        user=pwd.getpwuid(os.geteuid()),
        why_user="",
        folder=folder,
        why_folder="",
        program=(str(program),),
        options=(),
        is_single_file=False,
        cache=None,
        path=None,
        left_out=(),
    )


def command_of(line: str) -> str:
    """What cron gives to the shell: it ends at the first % without a backslash."""
    fields = line.split(" ", 5)
    assert fields[:5] == ["*"] * 5
    return re.split(r"(?<!\\)%", fields[5])[0]


def ran(command: str) -> list[object]:
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return list(json.loads(done.stdout))


@pytest.mark.parametrize("style", ["takes backslashes away", "leaves them"])
def test_every_word_arrives_whatever_is_in_it(started: StartedSite, style: str) -> None:
    options = tuple(word for odd in ODD for word in ("--handlers", odd))
    made = cron_line(replace(started, options=options))
    command = command_of(made.line)
    if style == "takes backslashes away":
        command = command.replace(r"\%", "%")
    folder, path, words = ran(command)
    assert (folder, path) == (str(started.folder), "/usr/bin:/bin")
    assert words == ["claim-and-run", *options, "--max-time", "55s", "--quiet"]


def test_programs_elsewhere_are_found(started: StartedSite) -> None:
    made = cron_line(replace(started, path="/opt/100% php/bin:/usr/bin:/bin"))
    assert ran(command_of(made.line).replace(r"\%", "%"))[1] == "/opt/100% php/bin:/usr/bin:/bin"


def test_a_single_file_is_told_where_to_unpack_itself(started: StartedSite) -> None:
    made = cron_line(replace(started, cache="/srv/a b/50%"))
    assert r" && XDG_CACHE_HOME='/srv/a b/50'\% " in made.line


def test_sites_start_in_other_seconds_and_end_with_their_minute(started: StartedSite) -> None:
    lines = [cron_line(replace(started, label=f"site {n}")) for n in range(200)]
    assert {line.seconds for line in lines} == set(range(20))
    for line in lines:
        assert f"--max-time {55 - line.seconds}s " in line.line
        assert (f"sleep {line.seconds} && " in line.line) == bool(line.seconds)
    # The same site starts in the same second each time.
    assert lines[7] == cron_line(replace(started, label="site 7"))


def test_a_file_of_cron_d_names_the_user(started: StartedSite) -> None:
    user = started.user.pw_name
    assert cron_line(started, names_user=True).line.startswith(f"* * * * * {user} cd ")


@pytest.mark.parametrize(
    ("options", "why"), [(("x" * 990,), "cron takes 990"), (("a\nb",), "line break")]
)
def test_what_cron_would_misread_is_refused(
    started: StartedSite, options: tuple[str, ...], why: str
) -> None:
    with pytest.raises(ConfigError, match=why):
        cron_line(replace(started, options=options))
