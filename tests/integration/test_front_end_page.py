"""The page that leads from a front end to a 202 and its result, followed line by line."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from client_drivers import COMPILER, install_client, missing_node
from conftest import ROOT, needs
from fences import Fence, fences
from page_shell import Shell, write_files

PAGE: Final = ROOT / "docs" / "how-to" / "enqueue-from-a-front-end.md"
CLIENTS_PAGE: Final = ROOT / "docs" / "reference" / "clients.md"
TYPES: Final = "declare const process: { env: Record<string, string | undefined> };\n"
DRIVER: Final = """
const { POST } = await import(`./${process.argv[2]}`);
const { follow } = await import("./follow.js");
const { QUEUE_URL: url, JOB: job, TOKEN: token } = process.env;
const body = JSON.stringify({ order: Number(process.argv[3]) });
const ask = () => POST(new Request("http://front.test/api/mails", { method: "POST", body }));
const first = await ask();
const again = await ask();
const jobs = [await first.json(), await again.json()];
const seen = [];
const result = await follow(url, job, token, (status) => seen.push(status));
let refused;
await follow(url, jobs[0].job, token, () => {}).catch((error) => { refused = error.status; });
const statuses = [first.status, again.status];
console.log(JSON.stringify({ statuses, jobs: jobs.map((one) => one.job), seen, result, refused }));
"""


def of(language: str, page: Path = PAGE) -> list[Fence]:
    return [fence for fence in fences(page) if fence.language == language]


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The TypeScript of the page beside the client, as a front end has them."""
    needs(missing_node())
    folder = tmp_path_factory.mktemp("front")
    install_client(folder)
    (folder / "package.json").write_text('{"type": "module"}')
    plain, with_client, follow = of("ts")
    for name, fence in (("plain", plain), ("route", with_client), ("follow", follow)):
        (folder / f"{name}.ts").write_text(fence.text)
    # The handler is what the page says that it is.
    assert max(len(fence.text.splitlines()) for fence in (plain, with_client)) <= 10
    [example] = of("ts", CLIENTS_PAGE)
    (folder / "example.ts").write_text("declare const key: string;\n" + example.text)
    (folder / "process.d.ts").write_text(TYPES)
    flags = "--strict --skipLibCheck --target ES2022 --module NodeNext"
    files = sorted(str(file) for file in folder.glob("*.ts"))
    done = subprocess.run(
        ["node", str(COMPILER), *flags.split(), *files],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    (folder / "driver.js").write_text(DRIVER)
    return folder


def test_the_page_is_followed_from_an_empty_folder(tmp_path: Path, compiled: Path) -> None:
    needs(None if shutil.which("curl") else "curl is not installed (apt-get install curl)")
    folder = tmp_path / "shop"
    folder.mkdir(mode=0o700)
    shell = Shell(folder)
    write_files(PAGE, folder)
    install, make, serve, work, add, end, token = (fence.text for fence in of("sh"))
    assert install == "pip install 'wpbridge[web]'"
    shell.run(make)
    with shell.started(serve, "--listen", "127.0.0.1:0") as told:
        url = told.split()[-1]
        shell.run(f"export QUEUE_URL={url}")
        with shell.started(work):
            answer = shell.run(add)
            assert answer.startswith("HTTP/1.1 202 ")
            job, result = (json.loads(line) for line in documents(shell.run(end)))
            assert (job["status"], job["args"]) == ("complete", {"order": 17})
            assert result == {"order": 17, "mails": 1}
            shell.run(token)
            for number, handler in enumerate(("plain.js", "route.js")):
                seen = in_front(shell, compiled, handler, 18 + number)
                first, again = seen["jobs"]
                assert first == again != job["job"]
                assert seen["statuses"] == [202, 202]
                assert seen["seen"] == ["complete"]
                # The token is for the first job alone.
                assert seen["refused"] == 404
                assert seen["result"] == {"order": 17, "mails": 1}


def documents(text: str) -> list[str]:
    """The JSON documents that were printed one after the other."""
    found, rest = [], text.strip()
    while rest:
        _, end = json.JSONDecoder().raw_decode(rest)
        found.append(rest[:end])
        rest = rest[end:].strip()
    return found


def in_front(shell: Shell, folder: Path, handler: str, order: int) -> Any:
    """Run a handler of the page as Next.js does, and then what the browser does."""
    return json.loads(shell.run(f"cd {folder} && node driver.js {handler} {order}"))
