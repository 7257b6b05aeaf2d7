"""What is policy rather than rule: quotas, windows, and answers that AWS's own texts disagree on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..settings import Settings


@dataclass(frozen=True)
class AwsSettings(Settings):
    """The sandbox's AWS policy (contracts.md §1.1.1, §1.1.3, §1.1.6, §1.1.8).

    Attributes:
        late_limit_seconds: A record this old is refused; AWS: 24 hours.
        month_end_grace_seconds: How long after the turn of the month the last one is open.
        future_skew_seconds: How far ahead a record may be. AWS publishes no figure.
        final_window_seconds: How long after its end an agreement takes its last usage.
        calls_per_second: Quota per account and region.
        identical_resend: Answer to the same quantity sent again. The service model says the
            resend is idempotent, AWS's agent skill that it may come back as DuplicateRecord.
        mixed_styles: `refuse` a call with both ProductCode and LicenseArn, as sellers saw it
            happen; `accept` reads such records as LicenseArn ones.
        max_body_bytes: A body must be smaller. "1 MB" is read as the smaller 1,000,000.
        max_records: Records in one call.
        change_set_seconds: How long a change set of the catalog is carried out.
    """

    late_limit_seconds: int = 24 * 3600
    month_end_grace_seconds: int = 6 * 3600
    future_skew_seconds: int = 60
    final_window_seconds: int = 3600
    calls_per_second: int = 10
    identical_resend: Literal["Success", "DuplicateRecord"] = "Success"
    mixed_styles: Literal["refuse", "accept"] = "refuse"
    max_body_bytes: int = 1_000_000
    max_records: int = 25
    change_set_seconds: int = 300
