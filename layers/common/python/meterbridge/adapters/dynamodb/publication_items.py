"""Publications in the registry table.

pk                   sk                          body          also
publications         publication id              Publication   ref_pk by offering
published#<offering> <channel>#<plan>#<audience> LineHead
"""

from __future__ import annotations

import hashlib

from meterbridge.domain.publishing.publication import PublicationLine

PUBLICATIONS = "publications"


def of_offering(offering_id: str) -> str:
    """Index partition of an offering's publications."""
    return f"{PUBLICATIONS}#{offering_id}"


def line_key(line: PublicationLine) -> tuple[str, str]:
    """Partition and sort key of a line's head; a long list of buyers is told by its digest."""
    audience = hashlib.sha256(line.audience.encode()).hexdigest() if line.audience else "public"
    return f"published#{line.offering_id}", f"{line.channel.value}#{line.plan_code}#{audience}"
