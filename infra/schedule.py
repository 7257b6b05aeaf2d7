"""A function that wakes up every few minutes."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.service_function import ServiceFunction


class Schedule(Construct):
    """Wakes a function at a fixed rate.

    A wake-up that cannot be delivered is not repeated for long, since the next one does the same
    work; it is kept with the function's lost events, so that somebody sees it.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, function: ServiceFunction, minutes: int
    ) -> None:
        super().__init__(scope, construct_id)
        events.Rule(
            self,
            "Rule",
            description=f"Wakes functions/{function.folder}",
            schedule=events.Schedule.rate(Duration.minutes(minutes)),
            targets=[
                targets.LambdaFunction(
                    function,
                    dead_letter_queue=function.lost_events,
                    max_event_age=Duration.minutes(minutes),
                    retry_attempts=2,
                )
            ],
        )
