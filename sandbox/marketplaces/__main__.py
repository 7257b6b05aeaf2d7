"""`marketplace-sandbox --port 8642 [--state FILE]`: the sandbox as a process."""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from .http_server import running_sandbox


def main() -> None:
    """Serves until interrupted or terminated."""
    parser = argparse.ArgumentParser(prog="marketplace-sandbox", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--state", type=Path, help="file to keep registrations and the bill in")
    parser.add_argument("--seed", type=int, default=0, help="of the random draws of faults")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with running_sandbox(port=options.port, state=options.state, seed=options.seed) as running:
        print(f"marketplace sandbox on {running.url}", flush=True)
        stop.wait()


if __name__ == "__main__":
    main()
