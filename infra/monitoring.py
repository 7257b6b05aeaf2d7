"""The alarms that mean lost money, and one dashboard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigateway
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.config import DeploymentConfig
from infra.queues import ServiceQueue
from infra.service_function import METRICS_NAMESPACE, SERVICE_NAME, ServiceFunction

# Usage that should have been accepted is worth an alarm when less than this is left of its window.
# Google takes it for longer than its contract allows: an hour after the hour is over. The alarm comes
# then, 46 hours before our own limit of 48.
_DEADLINE_MINUTES: Mapping[str, int] = {"aws": 120, "azure": 120, "gcp": 46 * 60}
_TIME_LEFT = "MinutesToDeadline"
_FRESHNESS = "UsageFreshness"
_FRESHNESS_MINUTES = 15
_ITERATOR_AGE_MINUTES = 10
_MISSED_WAKE_UPS = 3
# Late events are archived when their day is over, so a day and two hours are nothing unusual.
_ARCHIVE_DAYS = 3

_BUSINESS_ALARMS: Mapping[str, str] = {
    "RecordsRejected": "The marketplace refused a metering record: this usage is not billed.",
    "RecordsConflicted": "It is in doubt whether the marketplace billed a metering record.",
    "RecordsExpired": "A metering record missed the marketplace's window: this usage is lost.",
    "AgreementsSuspended": "A marketplace says that a buyer is not entitled: usage is kept, not billed.",
    "EventConflicts": "Two events claim one identity with different content: one was not counted.",
    "UnbalancedStatements": "An agreement's books do not balance: usage was lost or doubled.",
    "InvoicesFailed": "An agreement's invoice cannot be made: GET /v1/invoicing says why.",
    "FoldFailures": "A partition of the usage log cannot be folded: its usage is not billed.",
}


class Monitoring(Construct):
    """Watches every place where usage could be lost on its way to the marketplace.

    Attributes:
        alarms: all of them.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        config: DeploymentConfig,
        functions: Sequence[ServiceFunction],
        scheduled: Sequence[ServiceFunction],
        hourly: Sequence[ServiceFunction],
        stream_reader: ServiceFunction,
        api: apigateway.IHttpApi,
        dead_letters: Mapping[str, ServiceQueue],
        tables: Mapping[str, dynamodb.ITable],
    ) -> None:
        super().__init__(scope, construct_id)
        self.alarms: list[cloudwatch.Alarm] = []
        for name, queue in dead_letters.items():
            self._not_empty(name, queue)
        for function in functions:
            self._errors(function)
        for function in scheduled:
            self._not_running(function, Duration.minutes(config.schedule_minutes))
        for function in hourly:
            self._not_running(function, Duration.hours(1))
        self._stream_lag(stream_reader)
        self._unanswered(api)
        for metric_name, meaning in _BUSINESS_ALARMS.items():
            self._business(metric_name, meaning)
        wake_ups = Duration.minutes(_MISSED_WAKE_UPS * config.schedule_minutes)
        self._deadlines(wake_ups)
        self._freshness(wake_ups)
        self._archive_lag()
        if config.alarm_email:
            self._notify(config.alarm_email)
        self._dashboard(functions, stream_reader, dead_letters, tables)

    def _alarm(
        self,
        name: str,
        metric: cloudwatch.IMetric,
        meaning: str,
        *,
        threshold: float = 0,
        comparison: cloudwatch.ComparisonOperator = (
            cloudwatch.ComparisonOperator.GREATER_THAN_THRESHOLD
        ),
        missing: cloudwatch.TreatMissingData = cloudwatch.TreatMissingData.NOT_BREACHING,
    ) -> None:
        self.alarms.append(
            cloudwatch.Alarm(
                self,
                name,
                metric=metric,
                alarm_description=meaning,
                threshold=threshold,
                evaluation_periods=1,
                comparison_operator=comparison,
                treat_missing_data=missing,
            )
        )

    def _not_empty(self, name: str, queue: ServiceQueue) -> None:
        self._alarm(
            f"{name}NotEmpty",
            queue.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ),
            f"{name}: work was given up and waits for somebody.",
        )

    def _errors(self, function: ServiceFunction) -> None:
        self._alarm(
            f"{function.node.id}Errors",
            function.metric_errors(period=Duration.minutes(5), statistic="Sum"),
            f"functions/{function.folder} fails.",
        )

    def _not_running(self, function: ServiceFunction, every: Duration) -> None:
        self._alarm(
            f"{function.node.id}NotRunning",
            function.metric_invocations(
                period=Duration.minutes(_MISSED_WAKE_UPS * every.to_minutes()), statistic="Sum"
            ),
            f"functions/{function.folder} was not woken {_MISSED_WAKE_UPS} times.",
            threshold=1,
            comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            missing=cloudwatch.TreatMissingData.BREACHING,
        )

    def _stream_lag(self, function: ServiceFunction) -> None:
        self._alarm(
            f"{function.node.id}Behind",
            _iterator_age(function),
            "The usage log's stream is read late; the sweep still bills, but usage shows late.",
            threshold=Duration.minutes(_ITERATOR_AGE_MINUTES).to_milliseconds(),
        )

    def _unanswered(self, api: apigateway.IHttpApi) -> None:
        self._alarm(
            "ApiFailures",
            api.metric_server_error(period=Duration.minutes(5), statistic="Sum"),
            "Requests got no proper answer: usage is lost if the product does not send it again.",
        )

    def _business(self, metric_name: str, meaning: str) -> None:
        self._alarm(metric_name, _metric(metric_name, "Sum"), meaning)

    def _deadlines(self, period: Duration) -> None:
        """Nothing is measured while nothing is behind, so missing data is fine.

        That measuring itself goes on is what NotRunning, Errors and UsageBehind watch.
        """
        for channel, minutes in _DEADLINE_MINUTES.items():
            self._alarm(
                f"DeadlineNear{channel.capitalize()}",
                _metric(_TIME_LEFT, "Minimum", period=period, channel=channel),
                f"Usage of {channel} agreements can be reported for less than {minutes} minutes.",
                threshold=minutes,
                comparison=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            )

    def _freshness(self, period: Duration) -> None:
        """Every sweep measures it, also 0: where it is missing, nobody knows."""
        limit = max(_FRESHNESS_MINUTES, period.to_minutes())
        self._alarm(
            "UsageBehind",
            _metric(_FRESHNESS, "Maximum", period=period),
            f"Usage received {limit} minutes ago is not counted: stream and sweep are late.",
            threshold=Duration.minutes(limit).to_seconds(),
            missing=cloudwatch.TreatMissingData.BREACHING,
        )

    def _archive_lag(self) -> None:
        self._alarm(
            "ArchiveBehind",
            _metric("ArchiveLagHours", "Maximum"),
            f"Usage is not archived after {_ARCHIVE_DAYS} days; the log drops it after 45.",
            threshold=24 * _ARCHIVE_DAYS,
        )

    def _notify(self, email: str) -> None:
        topic = sns.Topic(self, "Alarms", enforce_ssl=True)
        topic.add_subscription(subscriptions.EmailSubscription(email))
        for alarm in self.alarms:
            alarm.add_alarm_action(actions.SnsAction(topic))

    def _dashboard(
        self,
        functions: Sequence[ServiceFunction],
        stream_reader: ServiceFunction,
        dead_letters: Mapping[str, ServiceQueue],
        tables: Mapping[str, dynamodb.ITable],
    ) -> None:
        dashboard = cloudwatch.Dashboard(self, "Dashboard", default_interval=Duration.hours(24))
        dashboard.add_widgets(
            cloudwatch.AlarmStatusWidget(title="Lost money", alarms=self.alarms, width=24, height=5)
        )
        dashboard.add_widgets(
            _graph(
                "Time until usage that is behind is lost, by marketplace (minutes)",
                [_metric(_TIME_LEFT, "Minimum", channel=channel) for channel in _DEADLINE_MINUTES],
            ),
            _graph("… by agreement: the most urgent (minutes)", [_by_agreement()]),
            _graph("Age of the oldest usage not counted (s)", [_metric(_FRESHNESS, "Maximum")]),
        )
        dashboard.add_widgets(
            _graph("Records and events in trouble", [_metric(n, "Sum") for n in _BUSINESS_ALARMS]),
            _graph(
                "Given up",
                [q.metric_approximate_number_of_messages_visible() for q in dead_letters.values()],
            ),
        )
        dashboard.add_widgets(
            _graph("Errors", [function.metric_errors() for function in functions]),
            _graph("Duration", [function.metric_duration() for function in functions]),
            _graph("Stream lag (ms)", [_iterator_age(stream_reader)]),
        )
        dashboard.add_widgets(
            *(
                _graph(
                    f"{name}: capacity used",
                    [
                        table.metric_consumed_write_capacity_units(),
                        table.metric_consumed_read_capacity_units(),
                    ],
                )
                for name, table in tables.items()
            )
        )


def _metric(
    name: str,
    statistic: str,
    *,
    period: Duration | None = None,
    **dimensions: str,
) -> cloudwatch.Metric:
    """One of our own metrics, as the functions emit it; `dimensions` are those besides `service`."""
    return cloudwatch.Metric(
        namespace=METRICS_NAMESPACE,
        metric_name=name,
        dimensions_map={"service": SERVICE_NAME, **dimensions},
        statistic=statistic,
        period=period or Duration.minutes(5),
    )


def _by_agreement() -> cloudwatch.SearchExpression:
    """Whichever agreements are behind: CloudWatch finds their metrics when the graph is drawn."""
    schema = f"{METRICS_NAMESPACE},service,channel,agreement_id"
    return cloudwatch.SearchExpression(
        expression=f"SEARCH('{{{schema}}} MetricName=\"{_TIME_LEFT}\"', 'Minimum', 300)",
        label="${PROP('Dim.agreement_id')}",
    )


def _iterator_age(function: ServiceFunction) -> cloudwatch.Metric:
    return function.metric("IteratorAge", statistic="Maximum", period=Duration.minutes(5))


def _graph(title: str, metrics: Sequence[cloudwatch.IMetric]) -> cloudwatch.GraphWidget:
    return cloudwatch.GraphWidget(title=title, left=list(metrics), width=8, height=6)
