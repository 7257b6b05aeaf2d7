"""Starts programs in process groups of their own, so that they end with all their children."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

# MiniStack stores its state when asked to end.
_SECONDS_TO_END = 20


class ProgramError(Exception):
    """A program failed; the message carries the end of what it said."""


def free_port() -> int:
    """A TCP port on the loopback interface that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(
    command: Sequence[str | Path],
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Path,
    descriptors: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in its own session; what it says goes to the end of `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=descriptors,
        )


def run(
    command: Sequence[str | Path], *, environment: Mapping[str, str], folder: Path, log: Path
) -> None:
    """Run a program to its end.

    Raises:
        ProgramError: if it does not exit with 0.
    """
    offset = log.stat().st_size if log.exists() else 0
    process = start(command, environment=environment, folder=folder, log=log)
    try:
        code = process.wait()
    finally:
        end(process)
    if code:
        said = log.read_bytes()[offset:].decode(errors="replace")
        tail = "\n".join(said.splitlines()[-40:])
        raise ProgramError(f"{Path(command[0]).name} exited with {code}:\n{tail}")


def wait_for(url: str, process: subprocess.Popen[bytes], *, log: Path, seconds: float) -> None:
    """Wait until a server that was started answers with 200.

    Raises:
        ProgramError: if it ends or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while not _answers(url):
        if process.poll() is not None:
            said = "\n".join(log.read_text(errors="replace").splitlines()[-10:])
            raise ProgramError(f"the server of {url} ended with {process.returncode}:\n{said}")
        if time.monotonic() > deadline:
            raise ProgramError(f"{url} does not answer: see {log}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def end(process: subprocess.Popen[bytes]) -> None:
    """End a program that `start` started, and all its children."""
    end_group(process.pid)
    process.wait()


def end_group(group: int) -> None:
    """End every process of a group that `start` made: first asking, then not."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if not _signal_group(group, number):
            return
        deadline = time.monotonic() + _SECONDS_TO_END
        while time.monotonic() < deadline:
            _reap(group)
            if not _signal_group(group, 0):
                return
            time.sleep(0.05)


def _signal_group(group: int, number: int) -> bool:
    """Signal a group; False when it has no process left."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:  # what macOS answers for a group of zombies
        return False
    return True


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Wait until no other process is between the start and end of this, for the same file."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Turn SIGTERM and SIGHUP into `SystemExit`, so that what was started is ended.

    Python does so for SIGINT only. Signals can be handled in the main thread only; elsewhere this
    does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def leave(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
