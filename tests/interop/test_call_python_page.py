"""The page on calling Python from PHP and Node, and PHP from Python, followed line by line."""

import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from client_drivers import install_client, missing_node
from conftest import ROOT, needs
from fences import Fence, fences
from page_shell import Shell
from page_site import must_use, site_with_plugin
from servers import MariaDB
from wordpress import in_wordpress, worker_command

PAGE: Final = ROOT / "docs" / "how-to" / "call-python-from-php-or-node.md"
SITE: Final = "--path /var/www/html"


def of(language: str) -> list[Fence]:
    return [fence for fence in fences(PAGE) if fence.language == language]


def printed(command: str) -> str:
    """What the page shows below a command."""
    [told] = [one.text for one in of("console") if one.text.startswith(f"$ {command}")]
    return told.split("\n", 1)[1]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A terminal in a folder that has the page's handlers."""
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    [handlers] = of("python")
    (folder / "shop_hooks.py").write_text(handlers.text)
    return Shell(folder)


@pytest.fixture
def site(mariadb: MariaDB, tmp_path: Path) -> Iterator[Path]:
    """The folder of a WordPress with the plugin, and the page's PHP in it."""
    ask, _, _, greeting = (fence.text for fence in of("php"))
    with site_with_plugin(mariadb, tmp_path / "html") as folder:
        must_use(folder, "shop", f"{ask}\n{greeting}\n")
        yield folder


def test_node_gets_what_python_returned(shell: Shell) -> None:
    needs(missing_node())
    prepare, work, key, serve = (
        fence.text.replace(SITE, "--dsn sqlite:///queue.db") for fence in of("sh")[:4]
    )
    shell.run(prepare.splitlines()[0])
    install_client(shell.folder)
    for name, fence in zip(("ask.mjs", "plain.mjs"), of("js"), strict=True):
        (shell.folder / name).write_text(fence.text)
    shell.run(key)
    with shell.started(serve, "--listen", "127.0.0.1:0") as told, shell.started(work):
        shell.run(f"export QUEUE_URL={told.split()[-1]}")
        for command in ("node ask.mjs", "node plain.mjs"):
            assert shell.run(command).strip() == printed(command)


def test_php_gets_what_python_returned_and_python_what_php_kept(shell: Shell, site: Path) -> None:
    prepare, work, _, _, work_both = (
        fence.text.replace("/var/www/html", str(site)) for fence in of("sh")
    )
    shell.run(prepare)
    with shell.started(work):
        [called] = [one.text for one in of("console") if one.text.startswith("$ wp eval")]
        code = shlex.split(called.splitlines()[0])[3]
        assert in_wordpress(site, code) == printed("wp eval")
    [ask] = of("py")
    (shell.folder / "ask_php.py").write_text(ask.text.replace("/var/www/html", str(site)))
    with shell.started(work_both, "--wp", shlex.join(worker_command()), "--php-workers", "1"):
        told = shell.run(f"{shlex.quote(sys.executable)} ask_php.py").strip()
        assert told == printed("python ask_php.py")


def test_php_reads_the_result_in_a_later_request(shell: Shell, site: Path) -> None:
    prepare = of("sh")[0].text.replace("/var/www/html", str(site))
    _, enqueue, read, _ = (fence.text for fence in of("php"))
    shell.run(prepare)
    in_wordpress(site, f"$post_id = 1; {enqueue}")
    shell.run(f"wpbridge claim-and-run --path {site} --handlers shop_hooks")
    told = in_wordpress(site, f"$post_id = 1; {read} echo json_encode( $words );")
    assert told == printed("wp eval")
