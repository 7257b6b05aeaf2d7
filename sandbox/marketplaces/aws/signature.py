"""Where a call is made: read from the SigV4 header. The signature itself is not verified.

Any credentials do, but the scope must be right: region, signing name `aws-marketplace`, and a
region in which the service exists (contracts.md §1.1.1, §1.1.9).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from .errors import AwsError

_SCOPE = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/,\s]+/[0-9]{8}/(?P<region>[a-z0-9-]+)"
    r"/(?P<service>[a-z0-9.-]+)/aws4_request"
)
_SIGNING_NAME = "aws-marketplace"

REGIONS = frozenset(
    [
        "eu-north-1",
        "me-south-1",
        "ap-south-1",
        "eu-west-3",
        "ap-southeast-3",
        "us-east-2",
        "af-south-1",
        "eu-west-1",
        "me-central-1",
        "eu-central-1",
        "sa-east-1",
        "ap-east-1",
        "ap-south-2",
        "us-east-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "eu-west-2",
        "ap-southeast-4",
        "eu-south-1",
        "ap-northeast-1",
        "us-west-2",
        "us-west-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "il-central-1",
        "ca-central-1",
        "eu-south-2",
        "eu-central-2",
        "cn-northwest-1",
    ]
)


def region_of(headers: Mapping[str, str]) -> str:
    """The region that the call was signed for.

    Raises:
        AwsError: The request is not signed, is signed for another service, or its region does
            not have the service (DisabledApiException).
    """
    scope = _SCOPE.match(headers.get("authorization", ""))
    if scope is None:
        raise AwsError("MissingAuthenticationTokenException", "the request is not signed", 403)
    if scope["service"] != _SIGNING_NAME:
        raise AwsError(
            "InvalidSignatureException",
            f"the credential is scoped to {scope['service']!r}, not {_SIGNING_NAME!r}",
            403,
        )
    if scope["region"] not in REGIONS:
        raise AwsError("DisabledApiException", f"the API is disabled in {scope['region']}")
    return scope["region"]
