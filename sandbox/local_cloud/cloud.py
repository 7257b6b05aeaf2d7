"""One local cloud: start it, deploy into it, talk to it, end it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from sandbox.local_cloud.cdk import Cdk
from sandbox.local_cloud.emulator import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    MiniStack,
)
from sandbox.local_cloud.processes import ending_on_signals, free_port
from sandbox.local_cloud.progress import Report
from sandbox.local_cloud.seller_accounts import open_accounts


class FunctionFailedError(Exception):
    """A function raised; the message is what it answered."""


class LocalCloud:
    """An emulated AWS account with the stack in it.

    Used as a context manager it starts the emulator, and ends it with everything it started,
    also on an error, SIGINT or SIGTERM::

        with LocalCloud(Path(".local/demo"), marketplace_endpoint=sandbox.url) as cloud:
            cloud.deploy()
            key = cloud.create_admin_key("demo")
            requests.post(f"{cloud.api_url}/v1/events", ...)

    Any number may run at once, each with its own folder and port.

    Attributes:
        endpoint: the address of the emulated AWS.
        outputs: the stack's outputs, after `deploy`.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        marketplace_endpoint: str | None = None,
        settings: Mapping[str, str] | None = None,
        port: int | None = None,
        persist: bool = False,
        report: Report = print,
    ) -> None:
        """Prepare one; nothing is started yet.

        Args:
            state_dir: a folder for logs, the assembly and the state; made when missing.
            marketplace_endpoint: the sandbox's address; with one, `deploy` sets up the seller's
                accounts at the three marketplaces, and the stack reports to all of them.
            settings: more CDK context, such as ``schedule_minutes``. Locally the schedules run every
                minute unless told otherwise.
            port: the emulator's; a free one unless given.
            persist: keep what is stored, for the next start with the same folder.
            report: gets one line per step.
        """
        self._state_dir = state_dir.resolve()
        self._state_dir.mkdir(parents=True, exist_ok=True)
        self._marketplace_endpoint = marketplace_endpoint
        self._settings = {"schedule_minutes": "1", **(settings or {})}
        self._ministack = MiniStack(
            self._state_dir, port=port or free_port(), persist=persist, report=report
        )
        self.endpoint = self._ministack.endpoint
        self._cdk = Cdk(self._state_dir, endpoint=self.endpoint, report=report)
        self._entered = ExitStack()
        self.outputs: dict[str, str] = {}

    def __enter__(self) -> Self:
        self._entered.enter_context(ending_on_signals())
        self._entered.callback(self._ministack.stop)
        try:
            self._ministack.start()
        except BaseException:
            self._entered.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._entered.close()

    def start_detached(self) -> int:
        """Start the emulator so that it outlives this process.

        Returns:
            The id of its process group.
        """
        self._ministack.start(tethered=False)
        pid = self._ministack.pid
        if pid is None:
            raise RuntimeError("MiniStack has no process")
        return pid

    def stop(self) -> None:
        """End the emulator and everything it started."""
        self._ministack.stop()

    def deploy(self) -> dict[str, str]:
        """Bootstrap the account and deploy the stack; again, to deploy what has changed.

        Returns:
            The stack's outputs, also kept as `outputs`.

        Raises:
            ProgramError: with the end of what the CDK CLI said.
        """
        self._cdk.bootstrap()
        settings = dict(self._settings)
        if self._marketplace_endpoint:
            settings |= open_accounts(self.client, self._marketplace_endpoint)
        self.outputs = self._cdk.deploy(settings)
        return self.outputs

    @property
    def api_url(self) -> str:
        """The API's address, to which ``/v1/...`` is added."""
        return f"{self.endpoint}/_aws/execute-api/{self.outputs['ApiId']}"

    def client(self, service: str) -> Any:
        """A boto3 client of the emulated account, with all rights."""
        return boto3.client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=Config(read_timeout=900, retries={"total_max_attempts": 1}),
        )

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Invoke a function and wait for its answer.

        Args:
            function: its name in the stack: ``CloseWindows``, ``Manage``, …
            event: what it gets.

        Returns:
            What it returned.

        Raises:
            FunctionFailedError: if it raised.
        """
        answer = self.client("lambda").invoke(
            FunctionName=self.outputs[f"{function}FunctionName"],
            Payload=json.dumps(event).encode(),
        )
        said = answer["Payload"].read().decode()
        if "FunctionError" in answer:
            raise FunctionFailedError(f"{function}: {said}")
        return json.loads(said) if said else None

    def create_admin_key(self, name: str) -> str:
        """Make the first API key, as whoever may invoke the management function can."""
        answer = self.invoke("Manage", {"meterbridge": "create-admin-key", "name": name})
        key: str = answer["key"]
        return key

    def logs(self, function: str) -> list[str]:
        """What a function has logged, oldest line first."""
        client = self.client("logs")
        name = self.outputs[f"{function}FunctionName"]
        group = self.client("lambda").get_function_configuration(FunctionName=name)[
            "LoggingConfig"
        ]["LogGroup"]
        events = [
            event
            for page in client.get_paginator("filter_log_events").paginate(logGroupName=group)
            for event in page["events"]
        ]
        return [event["message"] for event in sorted(events, key=lambda event: event["timestamp"])]
