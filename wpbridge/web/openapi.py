"""Write the OpenAPI document from the table of routes, and a page that shows it without scripts."""

import html
from collections.abc import Sequence
from typing import Any

from wpbridge import __version__
from wpbridge.web.declarations import ACTION, JOB, NEW_JOB, PROBLEM, SENT, Schema
from wpbridge.web.going import deprecation_of
from wpbridge.web.problems import KINDS, MEDIA_TYPE
from wpbridge.web.route import Route

_NAMED = {"NewJob": NEW_JOB, "Job": JOB, "Sent": SENT, "Action": ACTION, "Problem": PROBLEM}


def document(routes: Sequence[Route], base_path: str) -> dict[str, Any]:
    """Return the API as an OpenAPI 3.1 document."""
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wpbridge",
            "version": __version__,
            "description": "Add actions to a WordPress queue, and follow them to their end.",
        },
        "servers": [{"url": base_path or "/"}],
        "paths": paths,
        "components": {
            "schemas": dict(_NAMED),
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": _responses(route),
    }
    if (going := deprecation_of(route)) is not None:
        found["deprecated"] = True
        found["description"] = f"{going.words}."
    names = [part[1:-1] for part in route.path.replace(":", "/").split("/") if part[:1] == "{"]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in names
    ]
    parameters += [
        {"name": name, "in": "query", "schema": schema} for name, schema in route.query.items()
    ]
    if route.method == "POST" and "jobs" in route.path:
        parameters += [
            {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
            {"name": "Prefer", "in": "header", "schema": {"type": "string"}},
        ]
    if parameters:
        found["parameters"] = parameters
    if route.body is not None:
        schema = _reference(route.body.schema)
        found["requestBody"] = {
            "required": True,
            "content": {route.body.media_type: {"schema": schema}},
        }
    found["security"] = [{"key": []}, {"password": []}] if route.rights else []
    return found


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, schema in route.statuses.items():
        told: dict[str, Any] = {"description": "It is done." if status != 202 else "Committed."}  # noqa: PLR2004
        if schema is not None:
            told["content"] = {"application/json": {"schema": _reference(schema)}}
        found[str(status)] = told
    for kind in problems_of(route):
        code, title = str(KINDS[kind].status), KINDS[kind].title
        if code in found:
            found[code]["description"] += f"; or: {title.lower()}"
            continue
        found[code] = {
            "description": title,
            "content": {MEDIA_TYPE: {"schema": _reference(PROBLEM)}},
        }
    return found


def problems_of(route: Route) -> list[str]:
    """Return the types of problems that a route may answer with."""
    found = ["bad-request", "broken"]
    if route.rights:
        found += ["not-known", "not-allowed", "too-many", "unavailable"]
    if "{" in route.path:
        found.append("not-found")
    if route.body is not None:
        found += ["bad-json", "too-large", "wrong-media-type", "too-slow", "invalid"]
    if route.query:
        found.append("invalid")
    return list(dict.fromkeys([*found, *route.problems]))


def _reference(schema: Schema) -> Schema:
    for name, known in _NAMED.items():
        if schema is known:
            return {"$ref": f"#/components/schemas/{name}"}
    return schema


def page(routes: Sequence[Route], base_path: str) -> str:
    """Return the API as a page for people: no script, no style from elsewhere."""
    rows = []
    for route in routes:
        needs = " or ".join(route.rights) or "nothing"
        going = deprecation_of(route)
        summary = route.summary if going is None else f"{route.summary} {going.words}."
        rows.append(
            f"<tr><td><code>{route.method}</code></td>"
            f"<td><code>{html.escape(base_path + route.path)}</code></td>"
            f"<td>{html.escape(summary)}</td><td>{needs}</td></tr>"
        )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>wpbridge API</title>'
        "</head><body><h1>wpbridge API</h1>"
        f"<p>Version {html.escape(__version__)}. For programs:"
        f' <a href="{html.escape(base_path)}/openapi.json">openapi.json</a>.</p>'
        "<table><thead><tr><th>Method</th><th>Path</th><th>What it does</th><th>Needs</th></tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></body></html>"
    )
