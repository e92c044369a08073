"""Every error that the client raises for what a gateway answers, or does not answer.

    WpbridgeError
    ├── InputError        a value from the caller that cannot be sent
    └── ClientError
        ├── Problem       the gateway says what is wrong
        ├── BadAnswer     what came is no answer of a gateway
        └── Unreachable   no answer came in time

None of them holds the key, or a request that does.
"""

from typing import Any, Final

from wpbridge.errors import WpbridgeError

PREFIX: Final = "urn:wpbridge:problem:"
NO_TYPE: Final = "about:blank"
"""The type of a problem that only its status describes, as RFC 9457 has it."""


class ClientError(WpbridgeError):
    """The gateway did not do what was asked."""


class BadAnswer(ClientError):
    """The answer is none of a gateway's; check the address."""


class Unreachable(ClientError):
    """The gateway did not answer in time; check the address, and whether it runs."""


class Problem(ClientError):
    """The gateway says what is wrong."""

    def __init__(
        self,
        status: int,
        type: str = NO_TYPE,  # noqa: A002 - the name in the document
        detail: str = "",
        *,
        field: str = "",
        retry_after: float | None = None,
        more: dict[str, Any] | None = None,
    ) -> None:
        """Take what the problem document says.

        Args:
            status: the status code of the answer.
            type: the type, by which programs tell problems apart.
            detail: what is wrong, and what to do, for people.
            field: the field of the request that is meant; empty for none.
            retry_after: the seconds after which the request may be sent again; None: not told.
            more: what else the document has, such as the ``line`` of a batch.
        """
        super().__init__(f"{detail} ({status})" if detail else f"the gateway answers {status}")
        self.status = status
        self.type = type
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.more = more or {}

    @property
    def kind(self) -> str:
        """Return the last word of the type, such as ``not-found``; empty for a foreign type."""
        return self.type.removeprefix(PREFIX) if self.type.startswith(PREFIX) else ""
