"""One bearer token for all threads, and where what proves us is kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from threading import Lock
from typing import Generic, Protocol, TypeVar

from meterbridge.domain.errors import MarketplaceError

_Credential = TypeVar("_Credential")


class Secret(Protocol):
    """Where a client secret, a certificate or a key is kept."""

    def read(self) -> str:
        """Its present text; raises MarketplaceError."""


class Tokens(Protocol):
    """Where the bearer token comes from."""

    def bearer(self) -> str:
        """The token in force; raises MarketplaceError."""

    def renewed(self, refused: str) -> str:
        """Another token than the refused one; raises MarketplaceError."""


class BearerTokens(ABC, Generic[_Credential]):
    """The bearer token in force; one credential, made anew when its token or secret is refused."""

    def __init__(self, make: Callable[[], _Credential]) -> None:
        """Nothing is asked before the first token.

        Args:
            make: a credential without a token; what it is made of is read anew every time.
        """
        self._make = make
        self._lock = Lock()
        self._credential: _Credential | None = None

    def bearer(self) -> str:
        """A token that is not about to expire.

        Raises:
            MarketplaceError: none is given.
        """
        with self._lock:
            return self._token()

    def renewed(self, refused: str) -> str:
        """Another token than one that was refused; by another thread's renewal if there was one.

        Raises:
            MarketplaceError: none is given.
        """
        with self._lock:
            token = self._token()
            if token == refused:
                self._forget()
                token = self._token()
            return token

    def close(self) -> None:
        """Give up connections; the next token opens new ones."""
        with self._lock:
            self._forget()

    @abstractmethod
    def _issued(self, make: Callable[[], _Credential]) -> str:
        """A token of the credential in force, made if there is none; raises MarketplaceError."""

    def _release(self, credential: _Credential) -> None:
        """Give up what a credential holds."""

    def _token(self) -> str:
        try:
            return self._issued(self._made)
        except MarketplaceError:
            # The secret is read anew next time: it may have been replaced meanwhile.
            self._forget()
            raise

    def _made(self) -> _Credential:
        if self._credential is None:
            self._credential = self._make()
        return self._credential

    def _forget(self) -> None:
        if self._credential is not None:
            self._release(self._credential)
            self._credential = None
