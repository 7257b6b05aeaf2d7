from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from aws_cdk.assertions import Match, Template

from builders import NOON
from infra.stack import MeterbridgeStack
from lambda_setup import measured
from meterbridge.application.usage_freshness import UsageFreshness
from meterbridge.domain.agreements import REPORTED_CHANNELS
from meterbridge.domain.offerings import Channel
from meterbridge.domain.partitions import LOG_KEPT_FOR
from meterbridge.domain.policy import policy_at
from meterbridge.domain.windows import HOUR
from meterbridge.lambda_runtime.deadlines import publish_freshness
from meterbridge.lambda_runtime.observability import (
    Metric,
    count,
    make_metrics,
    measure_time_left,
)

BUSINESS = (
    "AgreementsSuspended",
    "RecordsRejected",
    "RecordsConflicted",
    "RecordsExpired",
    "EventConflicts",
    "UnbalancedStatements",
    "FoldFailures",
    "InvoicesFailed",
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
        if alarm["MetricName"] == "Invocations"
        and not any(hourly in str(alarm["Dimensions"]) for hourly in ("Archive", "IssueInvoices"))
    ]

    assert len(standing) == 4
    for alarm in standing:
        assert alarm["TreatMissingData"] == "breaching"
        assert alarm["ComparisonOperator"] == "LessThanThreshold"
        assert (alarm["Threshold"], alarm["Period"]) == (1, 3 * 60 * minutes)


@pytest.mark.parametrize("hourly", ["ArchiveUsage", "IssueInvoices"])
def test_what_runs_every_hour_raises_an_alarm_after_three_hours_of_standing_still(
    template: Template, hourly: str
) -> None:
    (alarm,) = (
        alarm
        for alarm in _alarms(template)
        if alarm["MetricName"] == "Invocations" and hourly in str(alarm["Dimensions"])
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


@pytest.mark.parametrize(("channel", "minutes"), [("aws", 120), ("azure", 120), ("gcp", 46 * 60)])
def test_the_alarm_comes_in_time_for_what_is_behind_and_is_silent_while_nothing_is(
    template: Template, channel: str, minutes: int
) -> None:
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "Namespace": "Meterbridge",
            "MetricName": "MinutesToDeadline",
            "Dimensions": [
                {"Name": "channel", "Value": channel},
                {"Name": "service", "Value": "meterbridge"},
            ],
            "Statistic": "Minimum",
            "Period": 900,
            "ComparisonOperator": "LessThanThreshold",
            "Threshold": minutes,
            "TreatMissingData": "notBreaching",
        },
    )


def test_there_is_such_an_alarm_for_every_channel_that_takes_records(template: Template) -> None:
    watched = [_dimensions(a)["channel"] for a in _alarms(template) if _is_deadline(a)]

    assert sorted(watched) == sorted(channel.value for channel in REPORTED_CHANNELS)


def test_googles_alarm_comes_when_its_contracts_hour_is_over(template: Template) -> None:
    policy = policy_at(Channel.GCP, NOON)
    (alarm,) = (
        a for a in _alarms(template) if _is_deadline(a) and _dimensions(a)["channel"] == "gcp"
    )
    used, reported_by = NOON, NOON + 2 * HOUR

    assert policy.deadline(used) - reported_by == timedelta(minutes=alarm["Threshold"])


def _is_deadline(alarm: dict[str, Any]) -> bool:
    return alarm["MetricName"] == "MinutesToDeadline"


def _dimensions(alarm: dict[str, Any]) -> dict[str, str]:
    return {each["Name"]: each["Value"] for each in alarm["Dimensions"]}


@pytest.mark.parametrize(("minutes", "limit"), [(1, 15), (5, 15), (20, 60)])
def test_usage_that_is_not_counted_raises_an_alarm_and_so_does_not_knowing(
    build_stack: Callable[..., MeterbridgeStack], minutes: int, limit: int
) -> None:
    template = Template.from_stack(build_stack({"schedule_minutes": minutes}))
    template.has_resource_properties(
        "AWS::CloudWatch::Alarm",
        {
            "Namespace": "Meterbridge",
            "MetricName": "UsageFreshness",
            "Dimensions": [{"Name": "service", "Value": "meterbridge"}],
            "Statistic": "Maximum",
            "Period": 3 * 60 * minutes,
            "ComparisonOperator": "GreaterThanThreshold",
            "Threshold": 60 * limit,
            "TreatMissingData": "breaching",
        },
    )


def test_alarms_look_for_metrics_that_are_written_under_exactly_their_dimensions(
    template: Template, capsys: pytest.CaptureFixture[str]
) -> None:
    for channel in REPORTED_CHANNELS:
        measure_time_left(channel, NOON, NOON)
    publish_freshness(UsageFreshness(NOON, timedelta(0), None))
    metrics = make_metrics()
    for metric in set(Metric) - {Metric.MINUTES_TO_DEADLINE, Metric.USAGE_FRESHNESS}:
        count(metrics, {metric: 0})
    metrics.flush_metrics()
    written = {(name, *dimensions) for name, dimensions in measured(capsys)}
    looked_for = {
        (a["MetricName"], *(d for d in sorted(_dimensions(a).items()) if d[0] != "service"))
        for a in _alarms(template)
        if a.get("Namespace") == "Meterbridge"
    }

    assert len(looked_for) == len(BUSINESS) + len(REPORTED_CHANNELS) + 2
    assert looked_for <= written


def test_the_dashboard_shows_time_left_by_channel_and_agreement_and_freshness(
    template: Template, capsys: pytest.CaptureFixture[str]
) -> None:
    (dashboard,) = template.find_resources("AWS::CloudWatch::Dashboard").values()
    body = json.dumps(dashboard["Properties"]["DashboardBody"]).replace("\\", "")
    for channel in REPORTED_CHANNELS:
        assert (
            f'["Meterbridge","MinutesToDeadline","channel","{channel.value}","service","meterbridge"'
            in body
        )
    assert '["Meterbridge","UsageFreshness","service","meterbridge"' in body
    measure_time_left(Channel.AWS, NOON, NOON, "agr_1")
    ((name, dimensions),) = measured(capsys)
    schema = {"service", *(key for key, _ in dimensions)}
    found = re.search(
        r"SEARCH\('\{Meterbridge,([\w,]+)\} MetricName=\"(\w+)\"', 'Minimum', 300\)", body
    )
    assert found is not None
    assert (set(found[1].split(",")), found[2]) == (schema, name)


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
