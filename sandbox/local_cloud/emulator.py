"""MiniStack, the AWS emulator, in a virtual environment of its own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from sandbox.local_cloud.processes import alone, end, run, start, wait_for
from sandbox.local_cloud.progress import Report, progress

PROJECT = Path(__file__).resolve().parents[2]
REGION = "us-east-1"
ACCOUNT = "000000000000"
# MiniStack's root user: it exists on this machine's loopback interface only.
ACCESS_KEY_ID = "test"
SECRET_ACCESS_KEY = "test"

_REQUIREMENTS = PROJECT / "sandbox" / "requirements.txt"
_VENV = PROJECT / ".local" / "ministack-venv"
_SECONDS_TO_START = 60


def interpreter(report: Report) -> Path:
    """The Python that has MiniStack installed; it is set up when missing or out of date.

    It is made from the interpreter that runs this, because MiniStack runs the functions with its
    own interpreter and the local layer holds wheels for the one that synthesised it.
    """
    python = _VENV / "bin" / "python"
    stamp = _VENV / "installed"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    with alone(PROJECT / ".local" / "ministack-venv.lock"):
        if stamp.exists() and stamp.read_text() == wanted:
            return python
        environment = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        log = PROJECT / ".local" / "ministack-venv.log"
        with progress("installing MiniStack", report):
            shutil.rmtree(_VENV, ignore_errors=True)
            commands: list[list[str | Path]] = [
                [sys.executable, "-m", "venv", _VENV],
                [python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", _REQUIREMENTS],
            ]
            for command in commands:
                run(command, environment=environment, folder=PROJECT, log=log)
        stamp.write_text(wanted)
    return python


class MiniStack:
    """One emulated account: loopback only, IAM enforced.

    Attributes:
        endpoint: its address.
        log: what it and the functions said.
    """

    def __init__(self, state_dir: Path, *, port: int, persist: bool, report: Report) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.log = state_dir / "ministack.log"
        self._state_dir = state_dir
        self._port = port
        self._persist = persist
        self._report = report
        self._process: subprocess.Popen[bytes] | None = None
        self._tether: int | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, which leads the group of all Lambda workers; None when not running."""
        return self._process.pid if self._process else None

    def start(self, *, tethered: bool = True) -> None:
        """Start it and wait until it answers.

        Args:
            tethered: end it when this process ends, even if killed.

        Raises:
            ProgramError: if it does not come up.
        """
        python = interpreter(self._report)
        scratch = self._state_dir / "tmp"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        command: list[str | Path] = [python, "-m", "ministack"]
        descriptors: list[int] = []
        if tethered:
            reading, self._tether = os.pipe()
            descriptors = [reading]
            command = [python, "-P", Path(__file__).with_name("tether.py"), str(reading)]
        with progress(f"starting MiniStack on {self.endpoint}", self._report):
            self._process = start(
                command,
                environment=self._environment(scratch),
                folder=self._state_dir,
                log=self.log,
                descriptors=descriptors,
            )
            for descriptor in descriptors:
                os.close(descriptor)
            wait_for(
                f"{self.endpoint}/_ministack/ready",
                self._process,
                log=self.log,
                seconds=_SECONDS_TO_START,
            )

    def stop(self) -> None:
        """End it, its Lambda workers, and what they left in the scratch folder."""
        if self._process:
            end(self._process)
            self._process = None
        if self._tether is not None:
            os.close(self._tether)
            self._tether = None
        shutil.rmtree(self._state_dir / "tmp", ignore_errors=True)

    def _environment(self, scratch: Path) -> dict[str, str]:
        """All of it: MiniStack hands its environment on to the functions, so nothing else may leak."""
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self._state_dir),
            "TMPDIR": str(scratch),
            "LANG": "C.UTF-8",
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._port),
            "AUTH": "true",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "MINISTACK_ACCOUNT_ID": ACCOUNT,
            "MINISTACK_REGION": REGION,
            "PERSIST_STATE": "1" if self._persist else "0",
            "STATE_DIR": str(self._state_dir / "state"),
            "S3_PERSIST": "1" if self._persist else "0",
            "S3_DATA_DIR": str(self._state_dir / "s3"),
            # Listeners for services we do not use.
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
        }
