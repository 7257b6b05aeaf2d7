"""Why a management use case refuses, beyond the errors of the domain and of the registry."""

from __future__ import annotations

from meterbridge.domain.errors import ConflictError, InvalidInputError, MeterbridgeError


class InvalidRequestError(MeterbridgeError):
    """Several things are wrong with what was sent; nothing was changed."""

    def __init__(self, faults: list[InvalidInputError]) -> None:
        super().__init__("; ".join(str(fault) for fault in faults))
        self.faults = tuple(faults)


class ForbiddenError(MeterbridgeError):
    """The caller's key is not for this."""


class StateError(ConflictError):
    """What is stored is in a state that does not allow it."""


class PreconditionError(MeterbridgeError):
    """It is not at the version that the caller expects any more."""


class Faults:
    """Collects everything that is wrong before anything is refused."""

    def __init__(self) -> None:
        self._faults: list[InvalidInputError] = []

    def add(self, code: str, detail: str, pointer: str) -> None:
        """One more."""
        self._faults.append(InvalidInputError(code, detail, pointer))

    def refuse_any(self) -> None:
        """Raises InvalidRequestError if there is any."""
        if self._faults:
            raise InvalidRequestError(self._faults)
