"""`python -m sandbox.local_cloud setup|up|down`: the local cloud from the command line."""

from __future__ import annotations

import argparse
import sys

from sandbox.local_cloud.cdk import install_cli
from sandbox.local_cloud.emulator import interpreter
from sandbox.local_cloud.kept import down, up
from sandbox.local_cloud.processes import ProgramError, ending_on_signals


def say(line: str) -> None:
    print(line, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m sandbox.local_cloud", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("setup", help="install the CDK CLI and MiniStack")
    starting = commands.add_parser("up", help="start, deploy, and leave running")
    starting.add_argument("--port", type=int, default=4566, help="of the emulated AWS")
    starting.add_argument("--marketplace-port", type=int, default=8642, help="of the sandbox")
    commands.add_parser("down", help="end what `up` started; keep what it stored")
    options = parser.parse_args()
    try:
        with ending_on_signals():
            if options.command == "setup":
                install_cli(say)
                interpreter(say)
            elif options.command == "down":
                down(report=say)
            else:
                kept = up(port=options.port, marketplace_port=options.marketplace_port, report=say)
                say(f"API          {kept.api_url}/v1")
                say(f"admin key    {kept.admin_key}")
                say(f"AWS          {kept.aws_url}")
                say(f"marketplace  {kept.marketplace_url}")
    except ProgramError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
