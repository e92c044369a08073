"""The HTTP gateway: enqueueing with keys, alone and from 64 clients, beside a WordPress REST route.

Also from the 202 to the start of the handler, what a thousand streams of events take, and what
becomes of a hundred requests with one key. On a MariaDB that flushes to disk at each commit. Prints
one JSON object. The route is measured where ``WPBRIDGE_TEST_PLUGIN`` names the plugin's folder.
"""

import argparse
import contextlib
import json
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import requests

from bench import HOOK
from bench_daemon import daemon
from bench_queue import fresh
from served import headers_for, served
from servers import MariaDB, private_mariadb
from wordpress import make_site, missing_wordpress, plugin_folder

CLIENTS = 64
STREAMS = 1_000
JOBS = 50
"""So many jobs the streams tell of."""
EQUAL = 100
LOAD = """
-- "id" is a global of each thread, so no two threads send the same key.
local threads = 0
function setup(thread) thread:set("id", threads); threads = threads + 1 end
local n = 0
function request()
  n = n + 1
  HEADERS["Idempotency-Key"] = RUN .. "-" .. id .. "-" .. n
  return wrk.format("POST", PATH, HEADERS, BODY)
end
function done(summary, latency, requests)
  -- PHP's server ends each answer by closing, which wrk counts as an error of reading.
  local errors = summary.errors
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99),
    errors.status + errors.connect + errors.write + errors.timeout))
end
"""
ROUTE = """<?php
add_action( 'rest_api_init', function () {
	register_rest_route( 'bench/v1', '/enqueue', array(
		'methods'             => 'POST',
		'permission_callback' => '__return_true',
		'callback'            => function () {
			$id = as_enqueue_async_action( 'bench', array( 1, 'x' ), 'bench' );
			return new WP_REST_Response( array( 'id' => $id ), 202 );
		},
	) );
} );
"""


def loaded(
    url: str, path: str, *, headers: Mapping[str, str], body: str, clients: int, seconds: int
) -> dict[str, float]:
    """Let wrk send requests for so long, each with an idempotency key of its own."""
    told = ", ".join(f"[{json.dumps(name)}] = {json.dumps(text)}" for name, text in headers.items())
    names = {"PATH": path, "BODY": body, "RUN": f"{time.monotonic_ns()}"}
    script = "".join(f"local {name} = {json.dumps(value)}\n" for name, value in names.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(f"{script}local HEADERS = {{{told}}}\n{LOAD}")
        file.flush()
        threads = min(2, clients)
        words = ["wrk", f"-t{threads}", f"-c{clients}", f"-d{seconds}s", "--timeout", "10s"]
        done = subprocess.run(
            [*words, "-s", file.name, url], capture_output=True, text=True, check=True, timeout=600
        )
    [found] = re.findall(r"^RESULT (\d+) (\d+) (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    count, took, p50, p99, errors = map(int, found)
    return {
        "per_second": round(count / took * 1e6),
        "p50_ms": round(p50 / 1000, 1),
        "p99_ms": round(p99 / 1000, 1),
        "errors": errors,
    }


@contextlib.contextmanager
def gateway(server: MariaDB, name: str, *flags: str) -> Iterator[tuple[str, dict[str, str], int]]:
    """A gateway over a new queue: its address, a key's headers, and its process."""
    fresh(server, name).close()
    dsn = server.url(name)
    with tempfile.TemporaryDirectory(prefix="wpb-", dir="/tmp") as folder:
        headers = headers_for(dsn)
        with served(Path(folder), dsn, "--listen", "127.0.0.1:0", *flags) as one:
            yield one.url, headers, one.process.pid


def enqueueing(server: MariaDB, seconds: int) -> dict[str, object]:
    """Keyed requests, from many clients at once and from one."""
    body = '{"hook":"bench","args":[1,"x"],"group":"bench"}'
    found: dict[str, object] = {}
    with gateway(server, "gateway_load") as (url, headers, _):
        for clients in (CLIENTS, 1):
            found[f"clients_{clients}"] = loaded(
                url, "/v1/jobs", headers=headers, body=body, clients=clients, seconds=seconds
            )
    return found


def starts(server: MariaDB, times: int) -> dict[str, float]:
    """From the arrival of a 202 to the start of its handler, in an idle daemon of this host."""
    with (
        gateway(server, "gateway_starts") as (url, headers, _),
        daemon(server.url("gateway_starts")) as one,
        requests.Session() as session,
    ):
        answered = []
        for number in range(times):
            answer = session.post(
                f"{url}/v1/jobs",
                json={"hook": HOOK, "args": [number]},
                headers=headers,
                timeout=60,
            )
            answered.append(time.monotonic())
            answer.raise_for_status()
            one.ran(number + 1)
        began = {number: start for number, start, _ in one.ran(times)}
    spans = [max(0.0, began[number] - at) * 1000 for number, at in enumerate(answered)]
    return {
        "times": times,
        "p50_ms": round(statistics.median(spans), 1),
        "p95_ms": round(statistics.quantiles(spans, n=20)[-1], 1),
    }


def streams(server: MariaDB, count: int) -> dict[str, float]:
    """What the gateway's process takes while so many clients follow jobs."""
    with gateway(server, "gateway_streams") as (url, headers, pid), contextlib.ExitStack() as open_:
        with requests.Session() as session:
            jobs = [
                session.post(
                    f"{url}/v1/jobs", json={"hook": "h", "in": 3600}, headers=headers, timeout=60
                ).json()["links"]["events"]
                for _ in range(JOBS)
            ]
        before = resident_bytes(pid)
        address = urlsplit(url)
        lines = []
        for number in range(count):
            line = socket.create_connection((address.hostname, address.port or 80), timeout=60)
            open_.enter_context(line)
            line.sendall(
                f"GET {jobs[number % JOBS]} HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: {headers['Authorization']}\r\n\r\n".encode()
            )
            lines.append(line)
        for line in lines:
            while b"event: scheduled" not in line.recv(4096):
                pass
        # What the gateway took for a moment to open them is given back by then.
        time.sleep(2)
        after = resident_bytes(pid)
    return {
        "streams": count,
        "megabytes": round(after / 1e6, 1),
        "megabytes_before": round(before / 1e6, 1),
    }


def resident_bytes(pid: int) -> int:
    """What a process has in memory."""
    pages = Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]
    return int(pages) * resource.getpagesize()


def equal_keys(server: MariaDB, count: int) -> dict[str, int]:
    """Requests with one key at the same moment: how many jobs they are told of."""
    told: list[str] = []
    with gateway(server, "gateway_equal") as (url, headers, _):
        start = threading.Barrier(count)

        def ask() -> None:
            start.wait()
            answer = requests.post(
                f"{url}/v1/jobs",
                json={"hook": "h"},
                headers={**headers, "Idempotency-Key": "one"},
                timeout=60,
            )
            told.append(answer.headers.get("Location", str(answer.status_code)))

        threads = [threading.Thread(target=ask) for _ in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with requests.Session() as session:
            answer = session.get(f"{url}/v1/actions", headers=headers, timeout=60)
            rows = len(answer.json()["actions"])
    return {"requests": count, "answers": len(told), "locations": len(set(told)), "rows": rows}


def wordpress(server: MariaDB, seconds: int) -> dict[str, object] | str:
    """A REST route that enqueues through the plugin, served by PHP's own server."""
    plugin = plugin_folder()
    if plugin is None:
        return "WPBRIDGE_TEST_PLUGIN names no folder of the plugin"
    if (missing := missing_wordpress()) is not None:
        return missing
    with tempfile.TemporaryDirectory(prefix="wpb-") as name:
        folder = make_site(Path(name), server, "gateway_wordpress", plugin=plugin)
        (folder / "wp-content" / "mu-plugins" / "bench.php").write_text(ROUTE, "utf-8")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        flags = ["-d", "opcache.enable=1", "-d", "opcache.enable_cli=1", "-d", "display_errors=0"]
        with subprocess.Popen(
            ["php", *flags, "-S", f"127.0.0.1:{port}", "-t", str(folder)],
            env={**os.environ, "PHP_CLI_SERVER_WORKERS": "8"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        ) as process:
            try:
                url = f"http://127.0.0.1:{port}"
                path = "/index.php?rest_route=/bench/v1/enqueue"
                _wait_for(f"{url}{path}")
                return dict(
                    loaded(
                        url,
                        path,
                        headers={"Host": "site.test"},
                        body="",
                        clients=8,
                        seconds=seconds,
                    )
                )
            finally:
                os.killpg(process.pid, 15)


def _wait_for(url: str) -> None:
    # PHP's server tells nobody that it listens: it is asked until it answers.
    for _ in range(200):
        with contextlib.suppress(requests.ConnectionError):
            answer = requests.post(url, headers={"Host": "site.test"}, timeout=60)
            if not answer.ok:
                raise RuntimeError(f"the route answers {answer.status_code}: {answer.text[:500]}")
            return
        time.sleep(0.05)
    raise TimeoutError("PHP's server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="Seconds instead of a minute.")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is not installed (apt-get install wrk)")
    seconds = 3 if options.quick else 15
    found: dict[str, object] = {}
    # On a real disk, and with the server's default: a flush at each commit.
    with private_mariadb(may_be_killed=True) as server:
        found["wordpress_route"] = wordpress(server, seconds)
        found["enqueue"] = enqueueing(server, seconds)
        found["start_after_202"] = starts(server, 30 if options.quick else 200)
        found["equal_keys"] = equal_keys(server, EQUAL)
        found["event_streams"] = streams(server, STREAMS)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
