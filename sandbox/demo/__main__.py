"""`python -m sandbox.demo`: deploy, send real usage, bill it, and prove that nothing was lost."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sandbox.demo.books import BookLine, read_books, table, totals_by_meter
from sandbox.demo.expected import expected_totals
from sandbox.demo.seller import DIMENSIONS, PRODUCT, Seller
from sandbox.demo.trace import CUSTOMERS, Request, customer_id, hours_of, read_trace
from sandbox.demo.traffic import make_traffic
from sandbox.local_cloud.cloud import LocalCloud
from sandbox.local_cloud.processes import ProgramError
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import running_sandbox

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / ".local" / "demo"
RESULT = PROJECT / ".local" / "demo.json"
PRODUCT_CODE = "demo-inference"
GRACE = timedelta(minutes=15)
PATIENCE = timedelta(minutes=12)


def say(line: str) -> None:
    """One line of progress, at once."""
    print(f"{datetime.now():%H:%M:%S}  {line}", flush=True)  # noqa: DTZ005 - a person's clock


@dataclass
class Demo:
    """One run against one deployment."""

    seller: Seller
    producer: Seller
    control: SandboxControl
    agreements: dict[str, str] = field(default_factory=dict)
    licenses: dict[str, str] = field(default_factory=dict)
    accepted: int = 0

    def add_customers(self, starts_at: datetime) -> None:
        """Twenty buyers, on the marketplace and here."""
        for number in range(CUSTOMERS):
            customer = customer_id(number)
            account = f"{100000000000 + number}"
            license_arn = f"arn:aws:license-manager::444455556666:license:l-{number:032x}"
            self.control.aws.register_agreement(
                product_code=PRODUCT_CODE,
                account_id=account,
                license_arn=license_arn,
                start=starts_at,
            )
            self.agreements[customer] = self.seller.add_customer(
                customer, account_id=account, license_arn=license_arn, starts_at=starts_at
            )
            self.licenses[customer] = license_arn

    def send(self, batches: Sequence[Sequence[Request]], what: str) -> None:
        """Send batches, with progress."""
        for number, batch in enumerate(batches, start=1):
            self.accepted += self.producer.send([request.event() for request in batch])
            if number % 10 == 0 or number == len(batches):
                say(f"  {what}: {number} of {len(batches)} batches")

    def books(self, requests: Sequence[Request], *, verify: bool = False) -> list[BookLine]:
        """The books against what was used in these requests."""
        first, last = hours_of(requests)
        periods = sorted({f"{first:%Y-%m}", f"{last:%Y-%m}"})
        return read_books(
            self.seller,
            self.agreements,
            self.licenses,
            periods,
            expected_totals({request.row for request in requests}),
            self.control.billed(),
            verify=verify,
        )

    def wait_until_billed(self, requests: Sequence[Request]) -> list[BookLine]:
        """Let the deployed schedules work until all of these requests are billed."""
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while True:
            lines = self.books(requests)
            right = sum(line.right for line in lines)
            say(f"  {right} of {len(lines)} customer dimensions billed in full")
            if right == len(lines) or time.monotonic() > deadline:
                return lines
            time.sleep(10)


def run(cloud: LocalCloud, control: SandboxControl, marketplace_url: str) -> bool:
    """The whole story; whether every quantity is right."""
    began = time.monotonic()
    control.aws.register_product(
        PRODUCT_CODE,
        [
            {"key": code, "unit_price": price, "allow_decimal": kind == "decimal"}
            for code, (_, price, _, kind) in DIMENSIONS.items()
        ],
    )
    cloud.deploy()
    seller = Seller(cloud.api_url, cloud.create_admin_key("demo"))
    say(f"setting up product, meters, offering and {CUSTOMERS} customers over {cloud.api_url}/v1")
    seller.set_up_catalog(PRODUCT_CODE)
    now = datetime.now(UTC)
    demo = Demo(seller, Seller(cloud.api_url, seller.ingest_key()), control)
    demo.add_customers((now - timedelta(days=2)).replace(microsecond=0))

    closed = (now - GRACE).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    requests = read_trace(closed)
    traffic = make_traffic(requests)
    late_rows = {request.row for batch in traffic.late for request in batch}
    first_rows = {request.row for batch in traffic.first for request in batch}
    punctual = [request for request in requests if request.row in first_rows]
    say(f"sending {len(punctual):,} real requests: out of order, some twice")
    demo.send(traffic.first, "on time")
    say("the deployed schedules close the hours, settle, and report to the marketplace")
    demo.wait_until_billed(punctual)
    say(f"sending the other {len(late_rows - first_rows):,} requests late, some again")
    demo.send(traffic.late, "late")
    demo.wait_until_billed(requests)
    say("recounting every statement from the raw usage log")
    lines = demo.books(requests, verify=True)
    return conclude(
        demo, lines, requests, traffic.sent, time.monotonic() - began, cloud, marketplace_url
    )


def conclude(
    demo: Demo,
    lines: Sequence[BookLine],
    requests: Sequence[Request],
    sent: int,
    seconds: float,
    cloud: LocalCloud,
    marketplace_url: str,
) -> bool:
    """Print and write down what came out."""
    first, last = hours_of(requests)
    repeats = demo.seller.repeats(first, last + timedelta(hours=1))
    unmatched = sum(1 for _ in demo.seller.unmatched(first, last + timedelta(hours=1)))
    duplicates = int(repeats["duplicates"])
    balanced = all(line.balanced for line in lines)
    right = (
        all(line.right for line in lines)
        and demo.accepted == sent
        and duplicates == sent - len(requests)
        and int(repeats["conflicts"]) == 0
        and unmatched == 0
    )
    print()
    print(table(lines))
    print()
    say(f"events sent {sent:,}, accepted {demo.accepted:,}, of these repeats {duplicates:,}")
    say(f"statements {'all balance' if balanced else 'DO NOT BALANCE'}")
    say("nothing lost, nothing billed twice" if right else "NOT AS EXPECTED: see the rows marked ✗")
    say(f"API {cloud.api_url}/v1 · AWS {cloud.endpoint} · marketplace {marketplace_url}")
    say("(stopped now; `make up` starts the same and leaves it running)")
    RESULT.write_text(
        json.dumps(
            {
                "product": PRODUCT,
                "events": {"sent": sent, "accepted": demo.accepted, "duplicates": duplicates},
                "quantities": totals_by_meter(lines),
                "balanced": balanced,
                "right": right,
                "seconds": round(seconds, 1),
            },
            indent=2,
        )
        + "\n"
    )
    return right


def main() -> int:
    """Exit code 0 only if every quantity is right."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    RESULT.unlink(missing_ok=True)
    try:
        with (
            running_sandbox() as marketplace,
            LocalCloud(FOLDER, marketplace_endpoint=marketplace.url, report=say) as cloud,
        ):
            right = run(cloud, marketplace.control, marketplace.url)
    except ProgramError as error:
        say(str(error))
        return 1
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
