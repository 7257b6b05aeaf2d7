"""The one way to keep what cdk-nag objects to: say why."""

from __future__ import annotations

from aws_cdk import Acknowledgment, Validations
from constructs import Construct


def accept(construct: Construct, rule: str, reason: str) -> None:
    """Accept one finding of cdk-nag's AwsSolutions rules on a construct and what is in it.

    Args:
        construct: where the finding is.
        rule: its number; for a wildcard in a policy with the wildcard: ``IAM5[Resource::*]``.
        reason: why it cannot be better.
    """
    Validations.of(construct).acknowledge(
        Acknowledgment(id=f"AwsSolutions::AwsSolutions-{rule}", reason=reason)
    )
