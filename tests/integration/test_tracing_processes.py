"""Traces and reports of real processes: how they begin, what children send, and how they end."""

import contextlib
import signal
import socket
import sys
import textwrap
import threading
from collections.abc import Iterator

import pytest

from cli_helpers import Site
from daemons import Daemon, until
from rows import query
from sinks import envelopes_of, sink, spans_of
from wpbridge import telling

HANDLERS = textwrap.dedent("""
    from opentelemetry import trace
    from wpbridge import hook

    TRACER = trace.get_tracer("the handlers")

    @hook("plain")
    def plain():
        with TRACER.start_as_current_span("inside plain"):
            pass

    @hook("isolated", isolate=True)
    def isolated():
        with TRACER.start_as_current_span("inside isolated"):
            pass

    @hook("isolated_async", isolate=True)
    async def isolated_async():
        with TRACER.start_as_current_span("inside isolated_async"):
            pass

    @hook("fails")
    def fails():
        raise OSError("no route")
""")
PLAIN = "from wpbridge import hook\n@hook('h')\ndef h(): pass\n"
STATUSES = "SELECT status FROM wp_actionscheduler_actions ORDER BY status"
HOOKS = ("plain", "isolated", "isolated_async", "fails")


@pytest.fixture
def site(lite: Site) -> Site:
    (lite.folder / "acts.py").write_text(HANDLERS, "utf-8")
    return lite


def test_processes_trace_from_a_command_to_the_spans_of_isolated_handlers(site: Site) -> None:
    with sink() as at:
        env = {
            "WPBRIDGE_TELEMETRY_TRACES": "1",
            "OTEL_EXPORTER_OTLP_ENDPOINT": at.url,
            "OTEL_RESOURCE_ATTRIBUTES": "service.name=the-shop",
            "SENTRY_DSN": at.url.replace("http://", "http://key@") + "/1",
        }
        for hook in HOOKS:
            assert site.process("enqueue", hook, env=env).code == 0
        done = site.process("claim-and-run", "--handlers", "acts", env=env)
        assert (done.code, done.err) == (0, "")
        reports = [one for one in at.bodies if one[0] != "/v1/traces"]
        spans = spans_of([one for one in at.bodies if one[0] == "/v1/traces"])
        assert b"the-shop" in at.everything
    assert [one["transaction"] for one in envelopes_of(reports)] == ["fails"]
    for hook in HOOKS:
        [made] = [span for span in spans if span.name == f"enqueue {hook}"]
        [ran] = [span for span in spans if span.name == f"run {hook}"]
        assert ran.links == [made.traceparent]
        inside = [span.parent for span in spans if span.name == f"inside {hook}"]
        assert inside == ([] if hook == "fails" else [ran.span_id])


def test_a_daemon_sends_at_its_end_what_its_workers_have_left(site: Site) -> None:
    # Before there is a file that would have this process trace, too.
    site.ok("enqueue", "plain")
    site.ok("enqueue", "fails")
    with sink() as at:
        (site.folder / "wpbridge.toml").write_text(
            textwrap.dedent(f"""
                [site]
                dsn = "{site.dsn}"
                [telemetry]
                traces = true
                otlp_endpoint = "{at.url}"
                [sentry]
                dsn = "{at.url.replace("http://", "http://key@")}/1"
            """)
        )
        # Longer than the test lasts: nothing is sent before the end.
        daemon = Daemon(site.folder, "", env={"OTEL_BSP_SCHEDULE_DELAY": "3600000"}).ready()
        try:
            until(
                lambda: [row[0] for row in query(site.store, STATUSES)] == ["complete", "failed"],
                "both have ended",
            )
            daemon.send(signal.SIGTERM)
            assert daemon.code() == 143
        finally:
            daemon.end()
        spans = spans_of([one for one in at.bodies if one[0] == "/v1/traces"])
        found = [one for one in at.bodies if one[0] != "/v1/traces"]
    assert {span.name for span in spans} >= {"run plain", "inside plain", "run fails"}
    assert [one["transaction"] for one in envelopes_of(found)] == ["fails"]


@contextlib.contextmanager
def stalled() -> Iterator[str]:
    """An address where connections are taken and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken: list[socket.socket] = []

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
        for one in taken:
            one.close()


def test_receivers_that_never_answer_fail_no_action_and_end_no_run(site: Site) -> None:
    for hook in ("plain", "fails"):
        site.ok("enqueue", hook)
    with stalled() as place:
        env = {
            "WPBRIDGE_TELEMETRY_TRACES": "1",
            "WPBRIDGE_TELEMETRY_OTLP_ENDPOINT": f"http://{place}",
            "WPBRIDGE_SENTRY_DSN": f"http://key@{place}/1",
            # The SDK itself would wait for so long.
            "OTEL_EXPORTER_OTLP_TIMEOUT": "3600",
        }
        assert site.process("claim-and-run", "--handlers", "acts", env=env).code == 0
    rows = query(site.store, "SELECT hook, status FROM wp_actionscheduler_actions")
    assert dict(map(tuple, rows)) == {  # type: ignore[arg-type]
        "plain": "complete",
        "fails": "failed",
    }


def uninstall(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    """Act as if a package were not installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    for name in ("tracing", "sentry"):
        monkeypatch.delitem(sys.modules, f"wpbridge.telling.{name}", raising=False)
        monkeypatch.delattr(telling, name, raising=False)


@pytest.mark.parametrize(
    ("variables", "package", "extra"),
    [
        ({"WPBRIDGE_TELEMETRY_TRACES": "1"}, "opentelemetry", "otel"),
        ({"WPBRIDGE_SENTRY_DSN": "http://key@127.0.0.1:9/1"}, "sentry_sdk", "sentry"),
    ],
)
def test_a_missing_extra_is_one_line_that_says_what_to_install(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    package: str,
    extra: str,
) -> None:
    (site.folder / "acts.py").write_text(PLAIN, "utf-8")
    uninstall(monkeypatch, package)
    for command in ("claim-and-run", "check"):
        done = site(command, "--handlers", "acts", env=variables)
        assert done.code == 78
        told = f"install it with `pip install 'wpbridge[{extra}]'`"
        assert [line for line in f"{done.out}{done.err}".splitlines() if line.endswith(told)]
        assert len(done.err.splitlines()) <= 1


def test_a_missing_package_for_a_sentry_of_the_environment_is_only_logged(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.folder / "acts.py").write_text(PLAIN, "utf-8")
    uninstall(monkeypatch, "sentry_sdk")
    done = site(
        "claim-and-run", "--handlers", "acts", env={"SENTRY_DSN": "http://key@127.0.0.1:9/1"}
    )
    assert done.code == 0
    assert "sentry.missing" in done.err


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"SENTRY_DSN": "https://s3cret@"}, "SENTRY_DSN expects a DSN"),
        ({"SENTRY_DSN": "s3cret"}, "SENTRY_DSN expects a DSN"),
        (
            {"WPBRIDGE_TELEMETRY_TRACES": "1", "OTEL_BSP_MAX_QUEUE_SIZE": "0"},
            "OpenTelemetry refuses what its variables OTEL_",
        ),
    ],
)
def test_variables_that_are_refused_are_one_line(
    site: Site, variables: dict[str, str], told: str
) -> None:
    (site.folder / "acts.py").write_text(PLAIN, "utf-8")
    done = site.process("claim-and-run", "--handlers", "acts", env=variables)
    assert done.code == 78
    [line] = done.err.splitlines()
    assert told in line
    assert "s3cret" not in line


def test_an_endpoint_without_http_is_refused(site: Site) -> None:
    env = {"WPBRIDGE_TELEMETRY_OTLP_ENDPOINT": "127.0.0.1:4317", "WPBRIDGE_SENTRY_DSN": "s3cret"}
    done = site("check", env=env)
    assert done.code == 78
    assert "an address such as http://127.0.0.1:4318" in done.err
    assert "s3cret" not in done.err
