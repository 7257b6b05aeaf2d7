"""The errors that fail a whole `BatchMeterUsage` call, with nothing recorded."""

from __future__ import annotations


class AwsError(Exception):
    """An error answer of the service: `code` as boto3 shows it, HTTP status and text."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


def validation(message: str) -> AwsError:
    """The request's shape is wrong. The service model names no error for it; this is AWS's usual."""
    return AwsError("ValidationException", message)


def serialization(message: str) -> AwsError:
    """The body is not the JSON the protocol asks for."""
    return AwsError("SerializationException", message)


def timestamp_out_of_bounds(message: str) -> AwsError:
    """A record's time is outside the window (contracts.md §1.1.6)."""
    return AwsError("TimestampOutOfBoundsException", message)


def invalid_license(message: str) -> AwsError:
    """A licence is malformed, unknown, not this buyer's, or not active at that time."""
    return AwsError("InvalidLicenseException", message)


def invalid_dimension(message: str) -> AwsError:
    """A dimension is not on the product."""
    return AwsError("InvalidUsageDimensionException", message)


def invalid_product(message: str) -> AwsError:
    """A product code is missing or unknown."""
    return AwsError("InvalidProductCodeException", message)


def invalid_customer(message: str) -> AwsError:
    """A legacy customer identifier does not exist."""
    return AwsError("InvalidCustomerIdentifierException", message)


def invalid_tag(message: str) -> AwsError:
    """A tag is malformed, or there are more than five."""
    return AwsError("InvalidTagException", message)


def invalid_allocations(message: str) -> AwsError:
    """Allocations do not add up, or mix kinds of quantity."""
    return AwsError("InvalidUsageAllocationsException", message)


def throttled() -> AwsError:
    """More calls than the quota of the account in this region."""
    return AwsError("ThrottlingException", "Rate exceeded")
