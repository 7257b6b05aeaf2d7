"""The bucket: kept, closed to the public, and never changed behind anybody's back."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Template


def _bucket(template: Template) -> dict[str, Any]:
    (bucket,) = template.find_resources("AWS::S3::Bucket").values()
    return bucket


def test_a_production_archive_outlives_the_stack_and_forgives_mistakes(template: Template) -> None:
    bucket = _bucket(template)

    assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert bucket["Properties"]["VersioningConfiguration"] == {"Status": "Enabled"}


def test_the_archive_is_encrypted_and_nobody_else_can_be_let_in(template: Template) -> None:
    properties = _bucket(template)["Properties"]

    assert set(properties["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(properties["PublicAccessBlockConfiguration"]) == 4
    (rule,) = properties["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule == {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    assert properties["OwnershipControls"] == {
        "Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]
    }


def test_the_archive_is_reached_over_tls_only(template: Template) -> None:
    (policy,) = template.find_resources("AWS::S3::BucketPolicy").values()
    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]

    assert (statement["Effect"], statement["Action"]) == ("Deny", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_what_is_current_never_expires(template: Template) -> None:
    rules = _bucket(template)["Properties"]["LifecycleConfiguration"]["Rules"]

    assert [rule for rule in rules if "ExpirationInDays" in rule or "ExpirationDate" in rule] == []
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    (replaced,) = (rule for rule in rules if "NoncurrentVersionExpiration" in rule)
    assert replaced["NoncurrentVersionExpiration"] == {"NoncurrentDays": 90}


@pytest.mark.parametrize("stage", ["template", "local_template"])
def test_it_is_archived_every_hour(stage: str, request: pytest.FixtureRequest) -> None:
    template: Template = request.getfixturevalue(stage)
    rules = [
        rule["Properties"]["ScheduleExpression"]
        for rule in template.find_resources("AWS::Events::Rule").values()
        if "ArchiveUsage" in str(rule)
    ]

    assert rules == ["rate(1 hour)"]


def test_a_local_archive_goes_with_the_stack_and_speaks_plain_http(
    local_template: Template,
) -> None:
    assert _bucket(local_template)["DeletionPolicy"] == "Delete"
    local_template.resource_count_is("AWS::S3::BucketPolicy", 0)
