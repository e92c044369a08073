"""Podman, a container engine that Debian has, with a store of its own, and the images that tests need.

Images cannot be pulled where only indexes of packages are reached. So debootstrap makes what stands
for the base image: the same Debian, whose Python is of the same version. It is kept in the user's
cache, as all layers are, and so made once on a machine.
"""

import ast
import fcntl
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from daemons import until

PROGRAMS = ("podman", "runc", "debootstrap", "iptables", "catatonit")
HELPERS = ("netavark", "aardvark-dns")
"""They make networks, with names in them. Podman looks for them in a folder of its own."""
PACKAGES = "ca-certificates,netbase,tzdata,python3,python3-pip,python3-venv"
"""The first three are in the image of Python, too."""
BASE = re.compile(r"python:(3\.\d+)-slim-(\w+)")
BASE_PATH = "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
APT_CLEAN = """APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin"; };
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin"; };
"""
"""As in the images of Debian: apt keeps no caches in a layer."""
SETTINGS = """
[containers]
# A container may be given no more than this process has.
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
log_driver = "k8s-file"
[engine]
events_logger = "file"
[network]
network_backend = "netavark"
"""
WHEELS = "/wheels"
REACHING = "cert|client-cert|proxy|index-url|trusted-host|timeout|default-timeout"
"""Settings of pip by which it reaches its index."""
LONGEST_STEP_SECONDS = 1800


@functools.cache
def missing_podman() -> str | None:
    """Why no container can be started here; None where one can."""
    if os.geteuid() != 0:
        return "containers are started by root here"
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [name for name in HELPERS if not Path("/usr/lib/podman", name).exists()]
    if missing:
        return f"{missing[0]} is not installed (apt-get install {' '.join(missing)})"
    done = Podman().run("info")
    return None if done.returncode == 0 else f"podman does not work here: {done.stderr.strip()}"


class Podman:
    """The engine, as root starts it where no systemd runs."""

    def __init__(self) -> None:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.folder = cache / "wpbridge-tests"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._configuration = self.folder / "containers.conf"
        self._configuration.write_text(SETTINGS, "utf-8")
        self._env = {
            **os.environ,
            "CONTAINERS_CONF": str(self._configuration),
            # Else it has systemd look at the health of containers.
            "DISABLE_HC_SYSTEMD": "true",
        }

    def words(self) -> list[str]:
        """How the program is started, up to its command."""
        store, run = self.folder / "podman", "/run/wpbridge-tests"
        places = [
            "--root",
            str(store),
            "--runroot",
            run,
            "--network-config-dir",
            f"{store}-networks",
        ]
        return ["podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs", *places]

    def run(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command of podman's, with a text on its standard input."""
        return subprocess.run(
            [*self.words(), *words],
            input=text,
            capture_output=True,
            text=True,
            check=False,
            env=self._env,
            timeout=LONGEST_STEP_SECONDS,
        )

    def told(self, *words: str, text: str = "") -> str:
        """What a command of podman's prints. It must succeed."""
        done = self.run(*words, text=text)
        told = f"podman {shlex.join(words)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        assert done.returncode == 0, told
        return done.stdout.strip()

    def script(self, folder: Path) -> Path:
        """A program that is podman with these settings, for programs that start it."""
        file = folder / "podman"
        env = ("CONTAINERS_CONF", "DISABLE_HC_SYSTEMD")
        text = "".join(f"export {name}={shlex.quote(self._env[name])}\n" for name in env)
        file.write_text(f'#!/bin/sh\n{text}exec {shlex.join(self.words())} "$@"\n', "utf-8")
        file.chmod(0o755)
        return file

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else makes an image of this store meanwhile."""
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def build(self, file: Path, context: Path, *options: str, wheels: Path | None = None) -> str:
        """Build an image, and return its id. What is not new comes from the store.

        ``wheels`` is a folder where pip finds packages that its index does not have.
        """
        with self.alone():
            for name in sorted(bases_of(file)):
                if BASE.fullmatch(name) and self.run("image", "exists", name).returncode:
                    self._make_base(name)
            self.run("image", "prune", "--force", "--filter", "until=6h")
            network = ["--network", "host", "--volume", f"{self._pip_settings()}:/etc/pip.conf:ro"]
            if wheels is not None:
                network += ["--volume", f"{wheels}:{WHEELS}:ro"]
            if Path("/etc/ssl/certs").is_dir():
                network += ["--volume", "/etc/ssl/certs:/etc/ssl/certs:ro"]
            how = ["--quiet", "--pull-never", "--format", "docker", "--isolation", "chroot"]
            return self.told("build", *how, *network, *options, "--file", str(file), str(context))

    def _pip_settings(self) -> Path:
        """How pip reaches its index on this machine: that is no part of an image."""
        asked = [sys.executable, "-m", "pip", "config", "list"]
        told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
        found = re.findall(rf"^(?::env:|global)\.({REACHING})=(.*)$", told, re.MULTILINE)
        settings = {key: ast.literal_eval(value) for key, value in found}
        text = "".join(f"{key} = {value}\n" for key, value in settings.items())
        file = self.folder / "pip.conf"
        file.write_text(f"[global]\nfind-links = {WHEELS}\n{text}", "utf-8")
        return file

    def _make_base(self, name: str) -> None:
        found = BASE.fullmatch(name)
        assert found is not None
        python, suite = found.groups()
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            root = Path(folder, "root")
            _do("debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, str(root))
            for name_, target in (("python", "python3"), ("python3", "python3"), ("pip", "pip3")):
                (root / "usr/local/bin" / name_).symlink_to(f"/usr/bin/{target}")
            (root / "etc/apt/apt.conf.d/docker-clean").write_text(APT_CLEAN, "utf-8")
            (root / "etc/pip.conf").touch()
            version = _do("chroot", str(root), "python", "-c", "import sys; print(sys.version)")
            assert version.startswith(f"{python}."), f"Python of {suite}: {version}"
            _do("chroot", str(root), "apt-get", "clean")
            tar = Path(folder, "root.tar")
            _do("tar", "--create", "--file", str(tar), "--directory", str(root), ".")
            self.told("import", "--change", f"ENV {BASE_PATH}", str(tar), name)


def bases_of(file: Path) -> set[str]:
    """The images that a Dockerfile begins its stages with, by the defaults of its arguments."""
    text = file.read_text("utf-8")
    args = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    told = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    names = {re.sub(r"\$\{(\w+)\}", lambda one: args[one[1]], name) for name in told}
    return names - set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.MULTILINE))


def _do(*words: str) -> str:
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=LONGEST_STEP_SECONDS
    )
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


class Container:
    """A container that runs."""

    def __init__(self, podman: Podman, name: str) -> None:
        self._podman, self.name = podman, name

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command within."""
        return self._podman.run("exec", self.name, *words)

    def told(self, *words: str) -> str:
        """What a command within prints. It must succeed."""
        done = self.run(*words)
        # Podman sometimes loses the exit code of a command that has ended.
        is_lost = "exec died event for session" in done.stderr
        assert done.returncode == 0 or is_lost, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def is_healthy(self) -> bool:
        """What the health check of the image or of its service says."""
        done = self._podman.run("healthcheck", "run", self.name)
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode == 0

    def inspect(self, told: str) -> str:
        return self._podman.told("inspect", "--format", "{{" + told + "}}", self.name)

    def said(self) -> str:
        """What it has written so far, on both streams."""
        done = self._podman.run("logs", self.name)
        return done.stdout + done.stderr

    def tell_to_stop(self) -> None:
        """Send TERM to the first process, as ``stop`` does, and wait for nothing."""
        self._podman.told("kill", "--signal", "TERM", self.name)

    def code(self) -> int:
        """Wait for its end; the exit code."""
        return int(self._podman.told("wait", self.name))

    def logged(self, word: str) -> None:
        until(lambda: word in self.said(), lambda: f"{word} in {self.said()}", pause=0.1)

    def changed(self) -> list[str]:
        """Files and folders that were changed or added in the container's own root."""
        return sorted(self._podman.told("diff", self.name).splitlines())


@contextmanager
def container(
    podman: Podman,
    image: str,
    *command: str,
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    mounts: Mapping[str, Path] | None = None,
) -> Iterator[Container]:
    """Start a container; it is gone at the end. ``mounts`` are by their places within it."""
    name = f"wpbridge-test-{os.getpid()}-{time.monotonic_ns()}"
    told = [word for one, value in (env or {}).items() for word in ("--env", f"{one}={value}")]
    for where, source in (mounts or {}).items():
        told += ["--volume", f"{source}:{where}"]
    podman.told("run", "--detach", "--name", name, *told, *options, image, *command)
    try:
        yield Container(podman, name)
    finally:
        podman.run("rm", "--force", "--time", "0", "--volumes", name)
