"""The CDK CLI, as pinned in package.json, pointed at the emulator."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from sandbox.local_cloud.emulator import (
    ACCESS_KEY_ID,
    ACCOUNT,
    PROJECT,
    REGION,
    SECRET_ACCESS_KEY,
)
from sandbox.local_cloud.processes import alone, run
from sandbox.local_cloud.progress import Report, progress

_CDK = PROJECT / "node_modules" / ".bin" / "cdk"
_STACK = "Meterbridge"


def install_cli(report: Report) -> None:
    """Install the pinned CLI when it is missing or out of date."""
    stamp = PROJECT / "node_modules" / ".installed"
    wanted = hashlib.sha256((PROJECT / "package-lock.json").read_bytes()).hexdigest()
    with alone(PROJECT / ".local" / "node-modules.lock"):
        if stamp.exists() and stamp.read_text() == wanted:
            return
        with progress("installing the CDK CLI", report):
            run(
                ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
                environment=os.environ,
                folder=PROJECT,
                log=PROJECT / ".local" / "node-modules.log",
            )
        stamp.write_text(wanted)


class Cdk:
    """Bootstraps and deploys; each instance has an assembly folder of its own."""

    def __init__(self, state_dir: Path, *, endpoint: str, report: Report) -> None:
        self.log = state_dir / "cdk.log"
        self._state_dir = state_dir
        self._report = report
        self._environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "CDK_HOME": str(PROJECT / ".local" / "cdk-home"),
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(PROJECT / ".local" / "jsii-cache"),
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "20",
            "JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION": "1",
        }

    def bootstrap(self) -> None:
        """Make the bucket that assets are uploaded to."""
        install_cli(self._report)
        with progress("cdk bootstrap", self._report):
            self._run("bootstrap", f"aws://{ACCOUNT}/{REGION}", "--app", "")

    def deploy(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Synthesise and deploy the stack for the local stage.

        Args:
            settings: context by key, on top of ``stage=local``.

        Returns:
            The stack's outputs.

        Raises:
            ProgramError: with the end of what the CLI said.
        """
        outputs = self._state_dir / "outputs.json"
        context = [
            flag
            for name, value in {**settings, "stage": "local"}.items()
            for flag in ("--context", f"{name}={value}")
        ]
        with progress("cdk deploy", self._report):
            self._run(
                "deploy",
                _STACK,
                "--require-approval=never",
                "--method=direct",
                "--progress=events",
                f"--app={sys.executable} app.py",
                f"--output={self._state_dir / 'cdk.out'}",
                f"--outputs-file={outputs}",
                *context,
            )
        deployed: dict[str, str] = json.loads(outputs.read_text())[_STACK]
        return deployed

    def _run(self, *arguments: str) -> None:
        run(
            [_CDK, "--no-notices", "--no-version-reporting", *arguments],
            environment=self._environment,
            folder=PROJECT,
            log=self.log,
        )
