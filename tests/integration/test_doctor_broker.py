"""The doctor asks a real Redis how it keeps messages."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from daemons import until
from ports import free_port
from wpbridge.app.broker_sight import BrokerSight, look_at_broker
from wpbridge.doctor import checks_celery
from wpbridge.doctor.findings import Finding
from wpbridge.site.config import Settings

pytest.importorskip("kombu")
redis = pytest.importorskip("redis")


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """A Redis of this test alone, as it starts without any settings, but for what it saves."""
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no redis-server")
    port = free_port()
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path)]
    process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port), "Redis answers")
        yield port
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with closing(redis.Redis(port=port, socket_timeout=10)) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False


def look(address: str) -> list[Finding]:
    sight = look_at_broker(Settings(celery_broker=address))
    assert isinstance(sight, BrokerSight)
    assert (sight.fault, sight.missing) == ("", ())
    return list(checks_celery._of_redis(sight))


def test_a_redis_that_forgets_is_told_apart(port: int) -> None:
    address = f"redis://127.0.0.1:{port}/0"
    [finding] = look(address)
    assert finding.level == "warning"
    assert "writes no file of what it gets (appendonly is no)" in finding.cause
    with closing(redis.Redis(port=port, socket_timeout=10)) as client:
        client.config_set("appendonly", "yes")
        assert look(address) == []
        client.config_set("maxmemory-policy", "allkeys-lru")
        [finding] = look(address)
        assert finding.level == "warning"
        assert "maxmemory-policy is allkeys-lru" in finding.cause
        client.execute_command("ACL SETUSER shop on >s3cret ~* &* +@all -config")
    [finding] = look(f"redis://shop:s3cret@127.0.0.1:{port}/0")
    assert (finding.level, "s3cret" in repr(finding)) == ("note", False)
    assert f"redis://shop@127.0.0.1:{port}/0 does not say how" in finding.cause


def test_a_wrong_password_is_a_fault_that_does_not_show_it(port: int) -> None:
    sight = look_at_broker(Settings(celery_broker=f"redis://nobody:s3cret@127.0.0.1:{port}/0"))
    assert sight is not None
    assert "s3cret" not in repr(sight)
    assert sight.fault
