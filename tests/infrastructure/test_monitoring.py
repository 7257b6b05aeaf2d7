from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from infra.stack import MeterbridgeStack
from meterbridge.domain.partitions import LOG_KEPT_FOR

BUSINESS = (
    "RecordsRejected",
    "RecordsConflicted",
    "RecordsExpired",
    "EventConflicts",
    "UnbalancedStatements",
    "FoldFailures",
)


def _alarms(template: Template) -> list[dict[str, Any]]:
    return [
        alarm["Properties"] for alarm in template.find_resources("AWS::CloudWatch::Alarm").values()
    ]


def test_every_dead_letter_queue_has_an_alarm(template: Template) -> None:
    watched = {
        alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0]
        for alarm in _alarms(template)
        if alarm["MetricName"] == "ApproximateNumberOfMessagesVisible"
    }
    queues = set(template.find_resources("AWS::SQS::Queue"))

    assert {queue for queue in queues if "SettleQueue" not in queue} == watched


def test_every_function_that_fails_raises_an_alarm(template: Template) -> None:
    watched = {
        alarm["Dimensions"][0]["Value"]["Ref"]
        for alarm in _alarms(template)
        if alarm["MetricName"] == "Errors"
    }

    assert watched == set(template.find_resources("AWS::Lambda::Function"))


@pytest.mark.parametrize("minutes", [1, 5])
def test_a_schedule_that_stands_still_raises_an_alarm_though_nothing_is_measured(
    build_stack: Callable[..., MeterbridgeStack], marketplaces: dict[str, str], minutes: int
) -> None:
    template = Template.from_stack(build_stack({"schedule_minutes": minutes, **marketplaces}))
    standing = [
        alarm
        for alarm in _alarms(template)
        if alarm["MetricName"] == "Invocations" and "Archive" not in str(alarm["Dimensions"])
    ]

    assert len(standing) == 4
    for alarm in standing:
        assert alarm["TreatMissingData"] == "breaching"
        assert alarm["ComparisonOperator"] == "LessThanThreshold"
        assert (alarm["Threshold"], alarm["Period"]) == (1, 3 * 60 * minutes)


def test_an_archive_that_stands_still_raises_an_alarm_after_three_hours(
    template: Template,
) -> None:
    (alarm,) = (
        alarm
        for alarm in _alarms(template)
        if alarm["MetricName"] == "Invocations" and "Archive" in str(alarm["Dimensions"])
    )

    assert (alarm["Period"], alarm["TreatMissingData"]) == (3 * 3600, "breaching")


def test_an_archive_that_is_behind_raises_an_alarm_long_before_the_log_drops_anything(
    template: Template,
) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "MetricName": "ArchiveLagHours",
            "Statistic": "Maximum",
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 72,
        },
    )
    assert timedelta(hours=72) < LOG_KEPT_FOR / 10


@pytest.mark.parametrize("metric", BUSINESS)
def test_one_such_event_is_enough_for_an_alarm(template: Template, metric: str) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "Namespace": "Meterbridge",
            "MetricName": metric,
            "Dimensions": [{"Name": "service", "Value": "meterbridge"}],
            "Statistic": "Sum",
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0,
            "TreatMissingData": "notBreaching",
        },
    )


def test_the_alarm_comes_two_hours_before_usage_is_lost(template: Template) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "MetricName": "MinutesToDeadline",
            "Statistic": "Minimum",
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": 120,
        },
    )


def test_a_stream_that_is_read_late_raises_an_alarm(template: Template) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm", {"MetricName": "IteratorAge", "Threshold": 600_000}
    )


def test_a_request_without_a_proper_answer_raises_an_alarm(template: Template) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "Namespace": "AWS/ApiGateway",
            "MetricName": "5xx",
            "Statistic": "Sum",
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 0,
        },
    )


def test_every_function_names_the_service_the_alarms_look_for(template: Template) -> None:
    for function in template.find_resources("AWS::Lambda::Function").values():
        variables = function["Properties"]["Environment"]["Variables"]

        assert variables["POWERTOOLS_SERVICE_NAME"] == "meterbridge"
        assert variables["POWERTOOLS_METRICS_NAMESPACE"] == "Meterbridge"


def test_every_alarm_is_mailed_when_an_address_is_given(template: Template) -> None:
    template.has_resource_properties(
        "AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "billing@example.com"}
    )

    assert [alarm for alarm in _alarms(template) if not alarm.get("AlarmActions")] == []


def test_without_an_address_there_is_no_topic(local_template: Template) -> None:
    local_template.resource_count_is("AWS::SNS::Topic", 0)


def test_the_dashboard_shows_all_alarms(template: Template) -> None:
    (dashboard,) = template.find_resources("AWS::CloudWatch::Dashboard").values()

    shown = json.dumps(dashboard["Properties"]["DashboardBody"])
    for logical_id in template.find_resources("AWS::CloudWatch::Alarm"):
        assert f'"{logical_id}", "Arn"' in shown


def test_logs_are_kept_for_as_long_as_was_set(
    build_stack: Callable[..., MeterbridgeStack],
) -> None:
    template = Template.from_stack(build_stack({"log_retention": "ONE_WEEK"}))
    groups = template.find_resources("AWS::Logs::LogGroup").values()

    assert {group["Properties"]["RetentionInDays"] for group in groups} == {7}
    assert len(groups) == 1 + len(template.find_resources("AWS::Lambda::Function"))
    template.has_resource_properties(
        "AWS::Lambda::Function", {"LoggingConfig": {"LogGroup": Match.any_value()}}
    )
