"""Finds in the source of wpbridge each call that can create something outside of the process."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parent.parent / "wpbridge"
SHIPPED: Final = PACKAGE.parent / "scripts"
STARTERS: Final = ("pyz_main.py", "pyz_start.py")
"""Files of ``SHIPPED`` that are in wpbridge.pyz."""
_MODULES: Final = {
    "os": {
        "open",
        "mkdir",
        "makedirs",
        "mkfifo",
        "mknod",
        "symlink",
        "link",
        "rename",
        "replace",
        "memfd_create",
        "pipe",
        "pipe2",
        "fork",
        "forkpty",
        "posix_spawn",
        "execv",
        "execve",
        "execvp",
        "execvpe",
        "truncate",
    },
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move", "make_archive"},
    "tempfile": {
        "NamedTemporaryFile",
        "TemporaryFile",
        "TemporaryDirectory",
        "SpooledTemporaryFile",
        "mkstemp",
        "mkdtemp",
    },
    "socket": {"socket", "create_server", "socketpair", "fromfd", "create_connection"},
    "sqlite3": {"connect"},
    "subprocess": {"Popen", "run", "call", "check_call", "check_output"},
    "gzip": {"open", "GzipFile"},
    "bz2": {"open"},
    "lzma": {"open"},
    "zipfile": {"ZipFile"},
    "tarfile": {"open"},
    "asyncio": {
        "start_server",
        "start_unix_server",
        "create_subprocess_exec",
        "create_subprocess_shell",
    },
    "mmap": {"mmap"},
    "logging": {"FileHandler"},
    "fcntl": {"flock", "lockf"},
    "kombu": {"Exchange", "Queue"},
    # Our own, by which other rooms create: what they create is named where they are called.
    "wpbridge.system.private_files": {"opened", "new", "fresh", "text", "replaced", "walk"},
    "wpbridge.system.whole_files": {"replacing"},
    "wpbridge.system.listening": {"listening_at", "listening_on"},
    "wpbridge.system.datagrams": {"bound_to_udp", "bound_to_path"},
    "wpbridge.system.programs": {"run", "spawn"},
    "wpbridge.plugin.placing": {"write_file"},
    "wpbridge.queue.wake.Listener": {"open"},
}
"""Functions that create, by the module that has them."""
_METHODS: Final = {
    "write_text",
    "write_bytes",
    "mkdir",
    "touch",
    "symlink_to",
    "hardlink_to",
    "bind",
    "listen",
    "create_datagram_endpoint",
    "create_unix_server",
    "create_server",
}
"""Methods that create, whatever object has them."""
_SERVERS: Final = {
    "ThreadingHTTPServer",
    "HTTPServer",
    "UDPServer",
    "TCPServer",
    "UnixStreamServer",
}


def creating_calls() -> Iterator[tuple[str, int]]:
    """Yield each creating call as ``file function call``, with its line."""
    for file in sorted(PACKAGE.rglob("*.py")):
        if "node_modules" not in file.parts:
            yield from _of_file(file, PACKAGE)
    for name in STARTERS:
        yield from _of_file(SHIPPED / name, SHIPPED)


def _of_file(file: Path, root: Path) -> Iterator[tuple[str, int]]:
    place = file.relative_to(root).as_posix()
    yield from calls_of(file.read_text("utf-8"), place)


def calls_of(source: str, place: str) -> Iterator[tuple[str, int]]:
    """Yield the creating calls of one module; ``place`` is its path."""
    tree = ast.parse(source)
    names = _imported(tree)
    for function, node in _calls(tree, ""):
        call = _creates(node, names) if isinstance(node, ast.Call) else _refers(node, names)
        if call:
            yield f"{place} {function or 'module'} {call}", node.lineno


def _imported(tree: ast.Module) -> dict[str, str]:
    """What each name stands for that is imported: ``os`` or ``os.open``."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                found[one.asname or one.name] = one.name
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for one in node.names:
                found[one.asname or one.name] = f"{node.module}.{one.name}"
    return found


def _calls(node: ast.AST, inside: str) -> Iterator[tuple[str, ast.Call | ast.Attribute]]:
    for child in ast.iter_child_nodes(node):
        name = inside
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{inside}.{child.name}" if inside else child.name
        if isinstance(child, ast.Call | ast.Attribute):
            yield name, child
        yield from _calls(child, name)


def _creates(node: ast.Call, names: dict[str, str]) -> str:
    """Return the name of a call that creates something; empty for any other."""
    if isinstance(node.func, ast.Name):
        return _by_name(node, node.func.id, names)
    return _by_attribute(node, node.func, names) if isinstance(node.func, ast.Attribute) else ""


def _by_name(node: ast.Call, called: str, names: dict[str, str]) -> str:
    """Look at ``open(…)``, and at a name that was imported."""
    if called == "open":
        return called if _writes(node, 1) else ""
    module, _, name = names.get(called, "").rpartition(".")
    return called if name in _MODULES.get(module, ()) or called in _SERVERS else ""


def _by_attribute(node: ast.Call, function: ast.Attribute, names: dict[str, str]) -> str:
    """Look at a function of a module, or at a method of anything."""
    called = function.attr
    module = names.get(function.value.id, "") if isinstance(function.value, ast.Name) else ""
    if module in _MODULES:
        creates = called in _MODULES[module] and not _is_ours(module)
        if creates and called == "open":
            creates = _makes(node) if module == "os" else _writes(node, 1)
        return f"{module}.{called}" if creates else ""
    creates = called in _METHODS | _SERVERS
    if called == "open":
        creates = _writes(node, 0)
    if called in {"rename", "replace"}:
        # A text's replace takes two.
        creates = len(node.args) == 1 and not node.keywords
    return f".{called}" if creates else ""


def _refers(node: ast.Attribute, names: dict[str, str]) -> str:
    """Return the name of one of our own functions that create, called here or later."""
    module = _module(ast.unparse(node.value), names)
    if _is_ours(module) and node.attr in _MODULES.get(module, ()):
        return f"{module.rpartition('.')[2]}.{node.attr}"
    return ""


def _is_ours(module: str) -> bool:
    return module.startswith("wpbridge.")


def _module(text: str, names: dict[str, str]) -> str:
    """What stands before a dot: ``wake.Listener`` is ``wpbridge.queue.wake.Listener``."""
    first, dot, rest = text.partition(".")
    return f"{names.get(first, '')}{dot}{rest}"


def _writes(node: ast.Call, place: int) -> bool:
    """Whether the mode of an ``open`` is for writing, or cannot be told."""
    mode: ast.expr | None = node.args[place] if len(node.args) > place else None
    for keyword in node.keywords:
        if keyword.arg == "mode":
            mode = keyword.value
    if mode is None:
        return False
    if isinstance(mode, ast.Constant):
        return isinstance(mode.value, str) and bool(set("wax+") & set(mode.value))
    return True


def _makes(node: ast.Call) -> bool:
    """Whether an ``os.open`` may make the file: its flags name O_CREAT, or cannot be told."""
    flags = node.args[1] if len(node.args) > 1 else None
    if flags is None:
        return False
    told = ast.unparse(flags)
    known = all(part.strip().startswith("os.O_") for part in told.split("|"))
    return "O_CREAT" in told or "O_TMPFILE" in told or not known


# PHP

_PHP: Final = re.compile(
    r"\b(?:update_option|add_option|set_(?:site_)?transient|update_\w*meta|add_\w*meta|"
    r"file_put_contents|mkdir|tempnam|tmpfile|rename|touch|symlink|proc_open|popen|shell_exec|"
    r"socket_create|socket_bind|stream_socket_server|setcookie|wp_schedule_\w+|wp_insert_\w+|"
    r"fopen|copy|wpdb->(?:insert|replace))\s*\("
)


def creating_php() -> Iterator[str]:
    """Yield each call of the shipped PHP that can create something, as ``file function``."""
    for file in sorted(PACKAGE.rglob("*.php")):
        if "node_modules" not in file.parts:
            for found in _PHP.finditer(file.read_text("utf-8")):
                yield f"{file.relative_to(PACKAGE).as_posix()} {found[0].rstrip('( ')}"


# The environment of children


def added_variables() -> set[str]:
    """The variables that some module adds to an environment."""
    found: set[str] = set()
    for file in sorted(PACKAGE.rglob("*.py")):
        if "node_modules" not in file.parts:
            found |= variables_of(file.read_text("utf-8"))
    return found


def variables_of(source: str) -> set[str]:
    """The variables that one module adds: ``{**env, NAME: …}`` and ``os.environ[NAME] = …``."""
    tree = ast.parse(source)
    constants = {
        node.target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.AnnAssign)
        and isinstance(node.target, ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        keys: list[ast.expr] = []
        if isinstance(node, ast.Dict) and any(
            key is None and ast.unparse(value).rpartition(".")[2] in _ENVIRONMENTS
            for key, value in zip(node.keys, node.values, strict=True)
        ):
            keys = [key for key in node.keys if key is not None]
        elif isinstance(node, ast.Assign):
            keys = [
                target.slice
                for target in node.targets
                if isinstance(target, ast.Subscript)
                and ast.unparse(target.value).rpartition(".")[2] in _ENVIRONMENTS
            ]
        for key in keys:
            name = key.value if isinstance(key, ast.Constant) else constants.get(ast.unparse(key))
            found.add(str(name if name is not None else ast.unparse(key)))
    return found


_ENVIRONMENTS: Final = {"env", "environ", "environment", "_env"}
