"""The answers that refuse a call as a whole, and the words for one event of a batch."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """What became of one usage event (contracts.md §2.1.3)."""

    ACCEPTED = "Accepted"
    DUPLICATE = "Duplicate"
    EXPIRED = "Expired"
    ERROR = "Error"
    RESOURCE_NOT_FOUND = "ResourceNotFound"
    RESOURCE_NOT_AUTHORIZED = "ResourceNotAuthorized"
    RESOURCE_NOT_ACTIVE = "ResourceNotActive"
    INVALID_DIMENSION = "InvalidDimension"
    INVALID_QUANTITY = "InvalidQuantity"
    BAD_ARGUMENT = "BadArgument"


class AzureError(Exception):
    """A call that is refused whole: HTTP status, Microsoft's code and text."""

    def __init__(self, status: int, code: str, message: str, target: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.target = target


class EventError(Exception):
    """One event cannot be taken; in a batch the others are."""

    def __init__(self, status: Status, message: str, target: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.target = target


class TokenError(Exception):
    """Entra gives no token: HTTP status, OAuth's error and Entra's own number and text."""

    def __init__(self, status: int, error: str, number: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.error = error
        self.number = number
        self.message = message


def bad_argument(message: str, target: str = "") -> AzureError:
    """The envelope is malformed."""
    return AzureError(400, "BadArgument", message, target)
