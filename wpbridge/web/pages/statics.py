"""Serve the style sheet, the scripts and the icon. Each is read once, when the gateway starts."""

import gzip
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from wpbridge.web.pages.gate import Refused

if TYPE_CHECKING:
    from wpbridge.web.calls import Parts
    from wpbridge.web.pages.visit import PageParts

PATH: Final = "/static/{name}"
FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final[Mapping[str, str]] = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEPT: Final = "private, max-age=31536000, immutable"
"""The addresses hold a mark of all files, so a new version has another address."""


class _File(NamedTuple):
    body: bytes
    packed: bytes
    """The body as gzip has it."""
    media_type: str
    mark: str


def _read() -> Mapping[str, _File]:
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in _TYPES and path.is_file():
            body = path.read_bytes()
            packed = gzip.compress(body, mtime=0)
            mark = hashlib.sha256(body).hexdigest()[:24]
            found[path.name] = _File(body, packed, _TYPES[path.suffix], mark)
    return found


FILES: Final = _read()
HAS_HTMX: Final = "htmx.min.js" in FILES
"""Whether the file that npm brings was built. Without it pages do not renew themselves."""
MARK: Final = hashlib.sha256("".join(one.mark for one in FILES.values()).encode()).hexdigest()[:12]
"""Stands in the addresses of the files, so that a browser may keep each version for ever."""


async def answer(request: Request, parts: "Parts", pages: "PageParts") -> Response:
    """Return a file. Nothing in it is secret, so nobody has to be signed in."""
    del parts, pages
    found = FILES.get(request.path_params["name"])
    if found is None:
        raise Refused(404, "there is no such file")
    is_packed = _takes_gzip(request) and len(found.packed) < len(found.body)
    mark = f'"{found.mark}-gzip"' if is_packed else f'"{found.mark}"'
    headers = {"Cache-Control": _KEPT, "ETag": mark, "Vary": "Accept-Encoding"}
    if request.headers.get("if-none-match") == mark:
        return Response(status_code=304, headers=headers)
    if is_packed:
        headers["Content-Encoding"] = "gzip"
    return Response(found.packed if is_packed else found.body, 200, headers, found.media_type)


def _takes_gzip(request: Request) -> bool:
    """Tell whether a browser takes gzip; whoever weighs it gets the file as it is."""
    told = request.headers.get("accept-encoding", "").split(",")
    return "gzip" in {one.strip().lower() for one in told}
