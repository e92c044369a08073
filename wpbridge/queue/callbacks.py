"""Make the action that tells a client that its job has ended: docs/explain/callbacks.md."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from wpbridge.action import CALLBACK_HOOK, OWN_GROUP, OWN_HOOKS, is_own_hook
from wpbridge.codec.callback_urls import callback_url, refused
from wpbridge.errors import InputError
from wpbridge.queue.enqueue import Enqueue, check_group, check_hook

_FIELDS: Final = ("url", "hook", "group")


class CallbackRefused(InputError):
    """The API key may not have this callback."""


def callback_of(
    given: object,
    *,
    uuid: str,
    hosts: Collection[str],
    allow_private: bool,
    may_enqueue: Callable[[str, str], bool],
) -> Enqueue:
    """Return the action for a client's ``callback``: ``{"url": …}``, or ``{"hook": …}``.

    Whether such an action may be added at all is another question
    (:class:`wpbridge.plugin.own_hooks.OwnHooks`).

    Args:
        given: what the client has sent.
        uuid: the job's id.
        hosts: the callback hosts of the client's API key.
        allow_private: ``[web] allow_private_callbacks``.
        may_enqueue: whether the client may add actions of a hook in a group.

    Raises:
        CallbackRefused: the client's key does not allow it.
        InputError: it is no callback. The message begins with the field.
    """
    if not isinstance(given, Mapping):
        raise InputError('callback: an object, {"url": …} or {"hook": …}')
    if unknown := sorted(str(name) for name in given if name not in _FIELDS):
        raise InputError(f"callback.{unknown[0]}: there is no such field")
    if ("url" in given) == ("hook" in given):
        raise InputError("callback: give either a url or a hook")
    if "url" in given:
        args = _by_url(given, hosts, allow_private=allow_private)
    else:
        args = _by_hook(given, may_enqueue)
    return Enqueue(hook=CALLBACK_HOOK, args={"job": uuid, **args}, group=OWN_GROUP)


def _by_url(
    given: Mapping[str, Any], hosts: Collection[str], *, allow_private: bool
) -> dict[str, str]:
    if "group" in given:
        raise InputError("callback.group: it is for a hook")
    try:
        target = callback_url(given["url"])
    except ValueError as error:
        raise InputError(f"callback.url: {error}") from None
    if reason := refused(target, hosts, allow_private=allow_private):
        raise CallbackRefused(f"callback.url: {reason}")
    return {"url": target.url}


def _by_hook(given: Mapping[str, Any], may_enqueue: Callable[[str, str], bool]) -> dict[str, str]:
    hook, group = given["hook"], given.get("group", "")
    check_hook(hook, "callback.hook")
    check_group(group, "callback.group")
    if is_own_hook(hook):
        raise InputError(f"callback.hook: hooks that begin with {OWN_HOOKS} are wpbridge's own")
    if not may_enqueue(hook, group):
        raise CallbackRefused("callback.hook: this API key may not add actions of this hook")
    return {"hook": hook, "group": group}
