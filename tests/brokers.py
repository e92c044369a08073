"""Message brokers of a test's own: RabbitMQ, Redis, and a server that stands for Amazon SQS.

Each listens on loopback only, on ports that were free, and keeps all its files in a folder of the
test. None of its processes outlives the block that started it.
"""

import contextlib
import importlib.machinery
import os
import shutil
import signal
import socket
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final, TypeAlias

from daemons import processes, until
from ports import HOST, free_port
from servers import find_program

START_SECONDS: Final = 120.0
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
RABBITMQ_ROOT: Final = Path("/usr/lib/rabbitmq/lib")
RABBITMQ_APT: Final = "RabbitMQ is not installed (apt-get install rabbitmq-server)"
# Libraries that only plugins of RabbitMQ use. A node looks for each of its modules in every folder
# of libraries: with half of them left out, it starts in 3 s where it takes 5.
_ONLY_PLUGINS_USE = ("amqp_client", "base64url", "cowboy", "cowlib", "eetcd", "gun", "jose", "prom")
_REGION: Final = "us-east-1"
_ON_LOOPBACK: Final = "-kernel inet_dist_use_interface {127,0,0,1}"


def missing_rabbitmq() -> str:
    """Return why no RabbitMQ can be started here; empty when one can."""
    if _rabbitmq_home() is None or not all(find_program([name]) for name in ("epmd", "erl")):
        return RABBITMQ_APT
    return _missing_packages("celery", "kombu", "amqp")


def missing_redis() -> str:
    """Return why no Redis can be started here; empty when one can."""
    if find_program(["redis-server"]) is None:
        return "redis-server is not installed (apt-get install redis-server)"
    return _missing_packages("celery", "kombu", "redis")


def missing_sqs() -> str:
    """Return why nothing that stands for Amazon SQS can be started here; empty when it can."""
    return _missing_packages("celery", "kombu", "boto3", "pycurl", "moto", "flask", "flask_cors")


def _missing_packages(*names: str) -> str:
    # importlib.util.find_spec fails for kombu: once imported, it no longer has a spec.
    find = importlib.machinery.PathFinder.find_spec
    missing = [name for name in names if find(name) is None]
    return f"Python packages are not installed: {', '.join(missing)}" if missing else ""


class Broker(ABC):
    """A broker that can be stopped and started again, with its address and its data unchanged."""

    name: ClassVar[str]
    hello: ClassVar[bytes]
    """What a client says to learn whether the broker serves."""
    answer: ClassVar[bytes]
    """How the answer of one that serves begins."""

    url: str
    """The broker as ``broker_url`` of Celery names it."""
    transport_options: dict[str, Any]
    """What ``broker_transport_options`` of Celery must hold so that the URL works."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        self.folder.mkdir()
        self.port = free_port()
        self.transport_options = {}
        self._started: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start it at its port, with the data it had, and wait until it serves.

        Raises:
            AssertionError: it ended, or it does not serve in time. The end of its log is told.
        """
        process = self._run()

        def serves() -> bool:
            assert process.poll() is None, f"{self.name} ended: {self._log()}"
            return self._serves()

        try:
            until(serves, lambda: f"{self.name} serves: {self._log()}", START_SECONDS, pause=0.02)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Kill it, as a crash would, and wait until none of its processes is left."""
        for started in self._started:
            started.kill()
            started.wait()
        self._started.clear()
        # Erlang's helpers end by themselves when their node is gone, but later.
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        until(lambda: not self.processes(), f"the end of {self.name}")

    def restart(self) -> None:
        """Kill it and start it again."""
        self.stop()
        self.start()

    def processes(self) -> list[int]:
        """Return the ids of its processes."""
        # Redis writes its title over the variables by which a process is known.
        started = {one.pid for one in self._started if one.poll() is None}
        return sorted(started.union(processes(self.folder)))

    def ports(self) -> list[int]:
        """Return the ports at which it listens while it runs."""
        return [self.port]

    @abstractmethod
    def flush(self) -> None:
        """Throw away all messages that wait. What a consumer holds, unacknowledged, may stay."""

    @abstractmethod
    def depth(self, queue: str) -> int:
        """Return how many messages wait in a queue; none when there is no such queue."""

    @abstractmethod
    def _run(self) -> "subprocess.Popen[bytes]":
        """Start its processes and return the one that serves."""

    def _start_process(
        self, command: Sequence[str | Path], **variables: str
    ) -> "subprocess.Popen[bytes]":
        """Start a process in the folder, with an environment that holds nothing of ours."""
        with (self.folder / "out").open("ab") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._started.append(process)
        return process

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        return {"PATH": PATH, "HOME": str(self.folder), "MARK": str(self.folder), **variables}

    def _serves(self) -> bool:
        return _answers(self.port, self.hello, self.answer)

    def _log(self) -> str:
        return (self.folder / "out").read_text(errors="replace")[-3000:]


def _answers(port: int, hello: bytes, answer: bytes) -> bool:
    """Whether what listens at a port answers so."""
    heard = b""
    with (
        contextlib.suppress(OSError),
        socket.create_connection((HOST, port), timeout=1) as connection,
    ):
        connection.sendall(hello)
        while len(heard) < len(answer) and (more := connection.recv(len(answer) - len(heard))):
            heard += more
        return heard == answer
    return False


@contextlib.contextmanager
def _running(broker: Broker) -> Iterator[None]:
    try:
        broker.start()
        yield
    finally:
        broker.stop()


class RabbitMQ(Broker):
    """A RabbitMQ without plugins, with an Erlang port mapper of its own.

    It runs copies of RabbitMQ's scripts, because these load the libraries that lie beside them.
    Debian's ``rabbitmq-server`` is not used: it becomes another user, with that user's folders.
    """

    name = "rabbitmq"
    hello = b"AMQP\x00\x00\x09\x01"
    answer = b"\x01\x00\x00"
    # The port mapper is the test's own, so that each test's node may have the same name.
    node = "wpbridge@localhost"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.url = f"amqp://guest:guest@{HOST}:{self.port}//"
        self.mapper_port = free_port()
        self.node_port = free_port()
        self._lay()

    def _lay(self) -> None:
        home = _rabbitmq_home()
        assert home is not None, RABBITMQ_APT
        (self.folder / "sbin").mkdir()
        for script in ("rabbitmq-server", "rabbitmq-env", "rabbitmq-defaults"):
            shutil.copy(home / "sbin" / script, self.folder / "sbin")
        (self.folder / "plugins").mkdir()
        for library in (home / "plugins").iterdir():
            if _is_needed(library.name):
                (self.folder / "plugins" / library.name).symlink_to(library)
        (self.folder / "enabled_plugins").write_text("[].\n")
        # In Erlang's own form, which is read sooner than the other one: that one needs schemas.
        (self.folder / "rabbitmq.config").write_text(
            f'[{{rabbit, [{{tcp_listeners, [{{"{HOST}", {self.port}}}]}}]}}].\n'
        )

    def ports(self) -> list[int]:
        return [self.port, self.mapper_port, self.node_port]

    def _run(self) -> "subprocess.Popen[bytes]":
        # Started here, in the foreground: a node that finds none starts one that outlives it.
        mapper = find_program(["epmd"])
        assert mapper is not None, RABBITMQ_APT
        self._start_process([mapper, "-address", HOST, "-port", str(self.mapper_port)])
        # It answers a request for the names of its nodes with its own port.
        own = self.mapper_port.to_bytes(4)
        until(lambda: _answers(self.mapper_port, b"\x00\x01n", own), f"epmd: {self._log()}")
        return self._start_process([self.folder / "sbin" / "rabbitmq-server"])

    def _log(self) -> str:
        logs = sorted((self.folder / "log").glob("*.log"))
        return super()._log() + "".join(log.read_text(errors="replace")[-3000:] for log in logs)

    def _environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        at = self.folder
        return super()._environment(
            {
                "RABBITMQ_NODENAME": self.node,
                "RABBITMQ_CONF_ENV_FILE": f"{at}/none",
                "RABBITMQ_CONFIG_FILE": f"{at}/rabbitmq.config",
                "RABBITMQ_ADVANCED_CONFIG_FILE": f"{at}/rabbitmq.config",
                "RABBITMQ_CONFIG_FILES": f"{at}/none",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{at}/enabled_plugins",
                "RABBITMQ_PLUGINS_DIR": f"{at}/plugins",
                "RABBITMQ_MNESIA_BASE": f"{at}/mnesia",
                "RABBITMQ_LOG_BASE": f"{at}/log",
                "RABBITMQ_DIST_PORT": str(self.node_port),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"+S 1:1 {_ON_LOOPBACK}",
                "ERL_EPMD_ADDRESS": HOST,
                "ERL_EPMD_PORT": str(self.mapper_port),
                # The script becomes the node, and does not wait for it as its parent.
                "RUNNING_UNDER_SYSTEMD": "true",
                **variables,
            }
        )

    def flush(self) -> None:
        """Purge all queues, also those that belong to one connection.

        The protocol has no word for a list of queues, and ``rabbitmqctl`` takes seconds: a small
        node of Erlang's asks, with the cookie that lies in the folder.
        """
        script = (
            f"N = '{self.node}', "
            "[erpc:call(N, rabbit_amqqueue, purge, [Q]) "
            "|| Q <- erpc:call(N, rabbit_amqqueue, list, [])], halt()."
        )
        erl = find_program(["erl"])
        assert erl is not None, RABBITMQ_APT
        command = [erl, "-noinput", "-hidden", "-sname", "flush@localhost", *_ON_LOOPBACK.split()]
        process = self._start_process([*command, "-eval", script])
        assert process.wait(START_SECONDS) == 0, self._log()
        self._started.remove(process)

    def depth(self, queue: str) -> int:
        from amqp.exceptions import NotFound  # noqa: PLC0415 - it may be missing
        from kombu import Connection  # noqa: PLC0415 - it may be missing

        with Connection(self.url) as connection:
            try:
                told = connection.default_channel.queue_declare(queue, passive=True)
            except NotFound:
                return 0
            return int(told.message_count)


def _rabbitmq_home() -> Path | None:
    """The folder of the installed RabbitMQ's scripts and libraries; None where there is none."""
    found = sorted(RABBITMQ_ROOT.glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    return found[-1].parent.parent if found else None


def _is_needed(library: str) -> bool:
    """Whether a node without plugins needs a library."""
    if library.startswith("rabbitmq_"):
        return library.startswith("rabbitmq_prelaunch")
    return not library.startswith(_ONLY_PLUGINS_USE)


class Redis(Broker):
    """A Redis that forgets all when it is stopped, or that syncs what it is told at once."""

    name = "redis"
    hello = b"PING\r\n"
    answer = b"+PONG"

    def __init__(self, folder: Path, *, appendonly: bool = False) -> None:
        super().__init__(folder)
        self.url = f"redis://{HOST}:{self.port}/0"
        self.appendonly = appendonly

    def _run(self) -> "subprocess.Popen[bytes]":
        server = find_program(["redis-server"])
        assert server is not None, missing_redis()
        keeps = "yes" if self.appendonly else "no"
        listens = ["--bind", HOST, "--port", str(self.port)]
        lies = ["--dir", str(self.folder), "--save", "", "--appendonly", keeps]
        return self._start_process([server, *listens, *lies, "--appendfsync", "always"])

    def flush(self) -> None:
        """Delete all keys, also those by which kombu knows which queues an exchange feeds.

        A producer does not declare a queue again that it has declared before. What it sends through
        a named exchange after a flush is lost without an error: give it a new connection. Celery
        sends to its queues by name, unless they have an exchange of another type than ``direct``.
        """
        with self._client() as client:
            client.flushall()

    def depth(self, queue: str) -> int:
        # One list for each priority above 0.
        keys = [queue, *(f"{queue}\x06\x16{priority}" for priority in range(1, 10))]
        with self._client() as client:
            return sum(client.llen(key) for key in keys)

    def _client(self) -> Any:
        from redis import Redis as Client  # noqa: PLC0415 - it may be missing

        return Client.from_url(self.url)


class SQS(Broker):
    """A server that answers as Amazon SQS does, and forgets all when it is stopped: moto's."""

    name = "sqs"
    hello = b"GET /moto-api/lib.js HTTP/1.0\r\n\r\n"
    answer = b"HTTP/1.1 200"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        # Without a name and a password, which may be any, those of this machine's owner are taken.
        self.url = f"sqs://key:secret@{HOST}:{self.port}"
        self.transport_options = {
            # Otherwise HTTPS is spoken.
            "is_secure": False,
            "region": _REGION,
            # How long it waits between two questions, and how long a question waits for messages.
            "polling_interval": 0.1,
            "wait_time_seconds": 1,
        }

    def _run(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(self.port)]
        return self._start_process(command)

    def flush(self) -> None:
        """Receive and delete all messages: a queue can be purged only once within a minute."""
        with self._client() as client:
            for url in client.list_queues().get("QueueUrls", []):
                ask = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0}
                while found := client.receive_message(**ask).get("Messages"):
                    for message in found:
                        client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def depth(self, queue: str) -> int:
        name = "ApproximateNumberOfMessages"
        with self._client() as client:
            try:
                url = client.get_queue_url(QueueName=queue)["QueueUrl"]
            except client.exceptions.QueueDoesNotExist:
                return 0
            told = client.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
            return int(told["Attributes"][name])

    def _client(self) -> Any:
        import boto3  # noqa: PLC0415 - it may be missing

        session = boto3.Session("key", "secret", region_name=_REGION)
        return contextlib.closing(
            session.client("sqs", endpoint_url=f"http://{HOST}:{self.port}", use_ssl=False)
        )


@contextlib.contextmanager
def private_rabbitmq(folder: Path) -> Iterator[RabbitMQ]:
    """Run a RabbitMQ until the block ends. Durable queues and messages outlive a restart."""
    broker = RabbitMQ(folder)
    with _running(broker):
        yield broker


@contextlib.contextmanager
def private_redis(folder: Path, *, appendonly: bool = False) -> Iterator[Redis]:
    """Run a Redis until the block ends.

    Args:
        folder: for its files.
        appendonly: all that it has answered outlives a restart; otherwise nothing does.
    """
    broker = Redis(folder, appendonly=appendonly)
    with _running(broker):
        yield broker


@contextlib.contextmanager
def private_sqs(folder: Path) -> Iterator[SQS]:
    """Run what stands for Amazon SQS until the block ends. Nothing outlives a restart."""
    broker = SQS(folder)
    with _running(broker):
        yield broker


Private: TypeAlias = Callable[[Path], contextlib.AbstractContextManager[Broker]]
Kinds: TypeAlias = Mapping[str, tuple[Callable[[], str], Private]]
BROKERS: Final[Kinds] = {
    "rabbitmq": (missing_rabbitmq, private_rabbitmq),
    "redis": (missing_redis, private_redis),
    "sqs": (missing_sqs, private_sqs),
}
"""By its name, why a broker cannot be started here, and what runs it in a folder."""
