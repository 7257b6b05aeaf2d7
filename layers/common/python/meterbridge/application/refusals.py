"""Why a management use case refuses, beyond the errors of the domain and of the registry."""

from __future__ import annotations

from collections.abc import Iterable

from meterbridge.domain.errors import ConflictError, InvalidInputError, MeterbridgeError
from meterbridge.domain.pricing.faults import Fault


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

    def add_all(self, faults: Iterable[Fault], within: str = "") -> None:
        """Faults of the domain.

        Args:
            within: the part of what they point into that was sent; faults elsewhere are told
                without a pointer.
        """
        for fault in faults:
            pointer, detail = fault.pointer, fault.detail
            if within and pointer.startswith(f"{within}/"):
                pointer = pointer.removeprefix(within)
            elif within:
                detail = detail if pointer == within else f"{pointer}: {detail}"
                pointer = ""
            self.add(fault.code, detail, pointer)

    def refuse_any(self) -> None:
        """Raises InvalidRequestError if there is any."""
        if self._faults:
            raise InvalidRequestError(self._faults)
