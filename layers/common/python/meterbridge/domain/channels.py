"""Where agreements are made and billed, and what quantities are taken there."""

from __future__ import annotations

from enum import StrEnum


class Channel(StrEnum):
    """Where an agreement was made and through which it is billed."""

    AWS = "aws"
    AZURE = "azure"
    GCP = "gcp"
    STRIPE = "stripe"
    MANUAL = "manual"


class QuantityKind(StrEnum):
    """Which quantities the listed dimension takes."""

    INTEGER = "integer"
    DECIMAL = "decimal"
