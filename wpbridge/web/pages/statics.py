"""Serve the style sheet, the scripts and the icon. Each is read once, when the gateway starts."""

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
    media_type: str
    mark: str


def _read() -> Mapping[str, _File]:
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in _TYPES and path.is_file():
            body = path.read_bytes()
            mark = f'"{hashlib.sha256(body).hexdigest()[:24]}"'
            found[path.name] = _File(body, _TYPES[path.suffix], mark)
    return found


FILES: Final = _read()


HAS_HTMX: Final = "htmx.min.js" in FILES
"""Whether the file that npm brings was built. Without it pages do not renew themselves."""


async def answer(request: Request, parts: "Parts", pages: "PageParts") -> Response:
    """Return a file. Nothing in it is secret, so nobody has to be signed in."""
    del parts, pages
    found = FILES.get(request.path_params["name"])
    if found is None:
        raise Refused(404, "there is no such file")
    headers = {"Cache-Control": _KEPT, "ETag": found.mark}
    if request.headers.get("if-none-match") == found.mark:
        return Response(status_code=304, headers=headers)
    return Response(found.body, 200, headers, found.media_type)
