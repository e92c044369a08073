"""The database goes away under a run: it waits, goes on, and loses and doubles nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

import invariants
from conftest import needs
from factories import make_new
from servers import MariaDB, missing_mariadb, private_mariadb
from stores import make_store, open_store
from wpbridge.clock import SystemClock
from wpbridge.site.database import DatabaseAddress

HANDLERS = """
import os, sys
from wpbridge import hook

FD = os.open("record", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@hook("tell")
def tell(number):
    os.write(FD, f"{number}\\n".encode())
    if number == 150:
        os.write(1, b"half\\n")
        sys.stdin.readline()
"""


@pytest.fixture
def own_server() -> Iterator[MariaDB]:
    needs(missing_mariadb())
    with private_mariadb(may_be_killed=True) as server:
        yield server


def test_a_killed_and_restarted_server(own_server: MariaDB, tmp_path: Path) -> None:
    connection = pymysql.connect(unix_socket=str(own_server.socket), user="root")
    with connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE q")
    connection.close()
    dsn = own_server.url("q")
    store = make_store(DatabaseAddress.from_dsn(dsn), "wp_")
    now = SystemClock().now()
    store.insert([make_new("tell", args=(n,), now=now) for n in range(300)], now=now)
    store.close()
    (tmp_path / "telling.py").write_text(HANDLERS, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "wpbridge",
        "claim-and-run",
        "--handlers",
        "telling",
        "--format",
        "json",
    ]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "WPBRIDGE_DSN": dsn},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "half\n"
        own_server.kill()
        process.stdin.write("\n")
        process.stdin.flush()
        own_server.start()
        told = json.loads(process.stdout.read())
        assert process.wait(timeout=300) == 0
    assert told["complete"] + told["lost"] == 300
    numbers = sorted(map(int, (tmp_path / "record").read_text().split()))
    assert numbers == list(range(300))
    store = open_store(DatabaseAddress.from_dsn(dsn), "wp_")
    assert store.counts() == {"complete": 300}
    invariants.check(store)
    store.close()
