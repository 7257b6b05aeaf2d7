"""Wherever AWS would drop work after some tries, it is kept, and somebody is told."""

from __future__ import annotations

from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

Resources = dict[str, dict[str, Any]]

DEAD_LETTERS = {
    "AggregationLostBatches",
    "AggregationLostWakeUps",
    "AggregationUnsettled",
    "ArchiveLostWakeUps",
    "InvoicingLostWakeUps",
    "ReportingAwsLostWakeUps",
    "ReportingAzureLostWakeUps",
    "ReportingGcpLostWakeUps",
}


def _named(logical_id: str) -> str:
    return logical_id[:-8]


def _queues(resources: Resources) -> dict[str, dict[str, Any]]:
    return {
        _named(logical_id): resource["Properties"]
        for logical_id, resource in resources.items()
        if resource["Type"] == "AWS::SQS::Queue"
    }


def _reference(value: dict[str, Any]) -> str:
    return _named(value["Fn::GetAtt"][0])


def test_queues_keep_for_fourteen_days_and_are_encrypted(resources: Resources) -> None:
    queues = _queues(resources)

    assert set(queues) == DEAD_LETTERS | {"AggregationSettleQueue"}
    assert {queue["MessageRetentionPeriod"] for queue in queues.values()} == {14 * 24 * 3600}
    assert {queue["SqsManagedSseEnabled"] for queue in queues.values()} == {True}


def test_an_agreement_that_cannot_be_settled_is_put_aside_after_five_tries(
    resources: Resources,
) -> None:
    settle = _queues(resources)["AggregationSettleQueue"]

    assert settle["RedrivePolicy"]["maxReceiveCount"] == 5
    assert _reference(settle["RedrivePolicy"]["deadLetterTargetArn"]) == "AggregationUnsettled"


def test_one_agreement_that_fails_does_not_hold_up_its_batch(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Lambda::EventSourceMapping",
        {
            "BatchSize": 10,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "ScalingConfig": {"MaximumConcurrency": 10},
        },
    )


def test_a_queue_hides_a_message_longer_than_its_reader_may_take(resources: Resources) -> None:
    (reader,) = (
        resource["Properties"]
        for logical_id, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::Function" and "SettleAgreements" in logical_id
    )

    assert (
        _queues(resources)["AggregationSettleQueue"]["VisibilityTimeout"] == 6 * reader["Timeout"]
    )


def test_a_stream_batch_is_halved_and_then_its_position_kept(template: Template) -> None:
    template.has_resource_properties(
        "AWS::Lambda::EventSourceMapping",
        {
            "StartingPosition": "TRIM_HORIZON",
            "MaximumBatchingWindowInSeconds": 20,
            "BisectBatchOnFunctionError": True,
            "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "MaximumRetryAttempts": 10,
            "MaximumRecordAgeInSeconds": 3600,
            "FilterCriteria": {"Filters": [{"Pattern": '{"eventName":["INSERT"]}'}]},
            "DestinationConfig": {
                "OnFailure": {
                    "Destination": {
                        "Fn::GetAtt": [Match.string_like_regexp("AggregationLostBatches"), "Arn"]
                    }
                }
            },
        },
    )


@pytest.mark.parametrize(
    ("function", "queue"),
    [
        ("CloseWindows", "AggregationLostWakeUps"),
        ("ArchiveUsage", "ArchiveLostWakeUps"),
        ("ReportUsageAws", "ReportingAwsLostWakeUps"),
        ("ReportUsageAzure", "ReportingAzureLostWakeUps"),
        ("ReportUsageGcp", "ReportingGcpLostWakeUps"),
    ],
)
def test_a_wake_up_that_fails_or_is_not_delivered_is_kept(
    resources: Resources, function: str, queue: str
) -> None:
    (destination,) = (
        resource["Properties"]["DestinationConfig"]["OnFailure"]["Destination"]
        for logical_id, resource in resources.items()
        if resource["Type"] == "AWS::Lambda::EventInvokeConfig" and function in logical_id
    )
    (target,) = (
        resource["Properties"]["Targets"][0]
        for resource in resources.values()
        if resource["Type"] == "AWS::Events::Rule" and function in str(resource)
    )

    assert _reference(destination) == queue
    assert _reference(target["DeadLetterConfig"]["Arn"]) == queue


def test_no_function_that_is_woken_asynchronously_lacks_such_a_queue(
    resources: Resources,
) -> None:
    rules = [r for r in resources.values() if r["Type"] == "AWS::Events::Rule"]
    configs = [r for r in resources.values() if r["Type"] == "AWS::Lambda::EventInvokeConfig"]

    assert len(rules) == len(configs) == 6
