"""Every error Meterbridge raises on purpose.

MeterbridgeError
├── InvalidInputError             what somebody sent cannot be accepted; carries code, detail, pointer
├── NotFoundError                 what was asked for does not exist
├── ConflictError                 the request contradicts what is stored
│   ├── InUseError                something else still refers to it
│   ├── RefusedDecisionError      a record is in a state that a decision does not fit; carries a code
│   └── StaleVersionError         somebody else wrote first: read again and repeat
├── StoreUnavailableError         the store could not take or give it now; the same call may be repeated
├── InvariantError                a rule that keeps the books right would have been broken: a defect
│   ├── CurrencyMismatchError     amounts of two currencies met
│   └── InexactError              an operation that must be exact was not
├── CorruptSegmentError           a stored segment cannot be decoded
├── MarketplaceError              a marketplace could not be asked at all (credentials, network)
│   └── ProductRefusedError       it does not let us report for one product; others may be asked
└── SettingsError                 a function's settings are missing or wrong; lists all of them
"""

from __future__ import annotations


class MeterbridgeError(Exception):
    """Base of every error raised on purpose."""


class InvalidInputError(MeterbridgeError):
    """What somebody sent cannot be accepted, and nothing was changed.

    Attributes:
        code: stable snake_case code, part of the API.
        detail: what is wrong, for a person.
        pointer: JSON pointer (RFC 6901) to the fault, or "".
    """

    def __init__(self, code: str, detail: str, pointer: str = "") -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.pointer = pointer


class NotFoundError(MeterbridgeError):
    """What was asked for does not exist."""


class ConflictError(MeterbridgeError):
    """The request contradicts what is stored."""


class InUseError(ConflictError):
    """It cannot be removed while something else refers to it."""


class RefusedDecisionError(ConflictError):
    """A metering record, or its agreement, is in a state that a person's decision does not fit.

    Attributes:
        code: stable snake_case code of the state, part of the API.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class StaleVersionError(ConflictError):
    """Somebody else wrote first. Read again and repeat; nothing was changed."""


class StoreUnavailableError(MeterbridgeError):
    """The store could not take or give it now. Repeating the same call is safe."""


class InvariantError(MeterbridgeError):
    """A rule that keeps the books right would have been broken: a defect, never bad input."""


class CurrencyMismatchError(InvariantError):
    """Amounts of two currencies met in one operation."""


class InexactError(InvariantError):
    """An operation that must be exact would have rounded."""


class CorruptSegmentError(MeterbridgeError):
    """A stored segment cannot be decoded."""


class MarketplaceError(MeterbridgeError):
    """A marketplace could not be asked at all. No record was judged by this failure."""


class ProductRefusedError(MarketplaceError):
    """A marketplace does not let us report for one product. Nothing is known against its records."""


class SettingsError(MeterbridgeError):
    """A function's settings are missing or wrong; the message lists all of them."""
