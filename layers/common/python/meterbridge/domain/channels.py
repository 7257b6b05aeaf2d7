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


REPORTED_CHANNELS = (Channel.AWS, Channel.AZURE, Channel.GCP)
"""Channels that take metering records and list prices: an agreement there names its buyer."""


class QuantityKind(StrEnum):
    """Which quantities the listed dimension takes."""

    INTEGER = "integer"
    DECIMAL = "decimal"
