"""`python -m sandbox.demo`: deploy, send real usage, bill it on three clouds, prove nothing was lost."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sandbox.demo.books import BookLine, Sold, oddities, read_books
from sandbox.demo.charges import ChargeBook, read_charges
from sandbox.demo.clouds import Cloud, clouds_of
from sandbox.demo.deals import DEALS, Deal, create_offering, overrides_of
from sandbox.demo.deals import OFFERING as PRO_OFFERING
from sandbox.demo.deals import PLAN as PRO
from sandbox.demo.expected import expected_totals
from sandbox.demo.invoice import ShownInvoice, show_invoice
from sandbox.demo.outcome import Outcome, Traffic
from sandbox.demo.seller import OFFERING, PLAN, PRODUCT, Seller
from sandbox.demo.trace import CUSTOMERS, Request, customer_id, hours_of, read_trace
from sandbox.demo.traffic import make_traffic
from sandbox.local_cloud.cloud import LocalCloud
from sandbox.local_cloud.processes import ProgramError
from sandbox.marketplaces.client import SandboxControl
from sandbox.marketplaces.http_server import running_sandbox

PROJECT = Path(__file__).resolve().parents[2]
FOLDER = PROJECT / ".local" / "demo"
RESULT = PROJECT / ".local" / "demo.json"
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
    clouds: dict[str, Cloud]
    starts_at: datetime
    sold: list[Sold] = field(default_factory=list)
    deals: list[tuple[Sold, Deal]] = field(default_factory=list)
    accepted: int = 0

    def add_customers(self) -> None:
        """Twenty buyers, dealt out over the clouds: there, and here."""
        starts_at = self.starts_at
        clouds = list(self.clouds.values())
        for number in range(CUSTOMERS):
            customer, cloud = customer_id(number), clouds[number % len(clouds)]
            deal = DEALS.get(number)
            plan = PLAN if deal is None else PRO
            buyer = cloud.admit(number, starts_at, plan)
            agreement_id = self.seller.add_customer(
                customer,
                channel=cloud.channel,
                buyer=buyer.fields,
                starts_at=starts_at,
                offering=OFFERING if deal is None else PRO_OFFERING,
                plan=plan,
                overrides=overrides_of(deal) if deal is not None else None,
            )
            sold = Sold(customer, cloud.channel, agreement_id, buyer.reference)
            if deal is None:
                self.sold.append(sold)
            else:
                self.deals.append((sold, deal))

    def send(self, batches: Sequence[Sequence[Request]], what: str) -> None:
        """Send batches, with progress."""
        for number, batch in enumerate(batches, start=1):
            self.accepted += self.producer.send([request.event() for request in batch])
            if number % 10 == 0 or number == len(batches):
                say(f"  {what}: {number} of {len(batches)} batches")

    def books(
        self, requests: Sequence[Request], *, verify: bool = False
    ) -> tuple[list[BookLine], list[ChargeBook]]:
        """The books against what was used in these requests: quantities, and charges by terms."""
        _, last = hours_of(requests)
        months = sorted({f"{self.starts_at:%Y-%m}", f"{last:%Y-%m}"})
        used = expected_totals({request.row for request in requests})
        bill = self.control.billed()
        return (
            read_books(self.seller, self.sold, months, used, bill, verify=verify),
            read_charges(self.seller, self.deals, months, used, bill, verify=verify),
        )

    def wait_until_billed(self, requests: Sequence[Request]) -> None:
        """Let the deployed schedules work until all of these requests are billed."""
        deadline = time.monotonic() + PATIENCE.total_seconds()
        while True:
            quantities, charges = self.books(requests)
            lines = [*quantities, *charges]
            all_of, right = (
                Counter(line.channel for line in lines),
                Counter(line.channel for line in lines if line.right),
            )
            progress = ", ".join(f"{name} {right[name]} of {all_of[name]}" for name in self.clouds)
            say(f"  customer dimensions billed in full: {progress}")
            if right == all_of or time.monotonic() > deadline:
                return
            time.sleep(10)

    def invoice_of_private_deal(self, charges: Sequence[ChargeBook]) -> ShownInvoice:
        """The draft of its invoice, as a table and as files."""
        sold = next(sold for sold, deal in self.deals if deal.private)
        book = next(book for book in charges if book.customer == sold.customer)
        return show_invoice(self.seller, sold.agreement_id, book.expected, RESULT.parent)

    def outcome(self, requests: Sequence[Request], sent: int, began: float) -> Outcome:
        """What came out, with every statement recounted from the raw usage log."""
        first, last = hours_of(requests)
        until = last + timedelta(hours=1)
        repeats, bill = self.seller.repeats(first, until), self.control.billed()
        quantities, charges = self.books(requests, verify=True)
        return Outcome(
            clouds=self.clouds,
            lines=quantities,
            charges=charges,
            invoice=self.invoice_of_private_deal(charges),
            traffic=Traffic(
                sent=sent,
                accepted=self.accepted,
                duplicates=int(repeats["duplicates"]),
                expected_duplicates=sent - len(requests),
                conflicts=int(repeats["conflicts"]),
                unmatched=sum(1 for _ in self.seller.unmatched(first, until)),
            ),
            records=Counter(record.marketplace for record in bill.records),
            oddities=oddities([*self.sold, *(sold for sold, _ in self.deals)], bill),
            seconds=time.monotonic() - began,
        )


def run(cloud: LocalCloud, control: SandboxControl) -> Outcome:
    """The whole story."""
    began = time.monotonic()
    clouds = clouds_of(control, "demo-inference")
    for each in clouds.values():
        each.publish()
    cloud.deploy()
    seller = Seller(cloud.api_url, cloud.create_admin_key("demo"))
    say(
        f"setting up product, meters, two offerings and {CUSTOMERS} customers over {cloud.api_url}/v1"
    )
    seller.set_up_catalog({each.channel: each.listing for each in clouds.values()})
    create_offering(seller)
    now = datetime.now(UTC)
    starts_at = (now - timedelta(days=2)).replace(microsecond=0)
    producer = Seller(cloud.api_url, seller.ingest_key())
    demo = Demo(seller, producer, control, clouds, starts_at)
    demo.add_customers()
    counts = Counter(sold.channel for sold in (*demo.sold, *(sold for sold, _ in demo.deals)))
    say("  who bought: " + ", ".join(f"{counts[name]} on {name}" for name in clouds))

    closed = (now - GRACE).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    requests = read_trace(closed)
    traffic = make_traffic(requests)
    late_rows = {request.row for batch in traffic.late for request in batch}
    first_rows = {request.row for batch in traffic.first for request in batch}
    punctual = [request for request in requests if request.row in first_rows]
    say(f"sending {len(punctual):,} real requests: out of order, some twice")
    demo.send(traffic.first, "on time")
    say("the deployed schedules close the hours, settle, and report to the three marketplaces")
    demo.wait_until_billed(punctual)
    say(f"sending the other {len(late_rows - first_rows):,} requests late, some again")
    demo.send(traffic.late, "late")
    demo.wait_until_billed(requests)
    say("recounting every statement from the raw usage log")
    return demo.outcome(requests, traffic.sent, began)


def conclude(outcome: Outcome) -> None:
    """Print and write down what came out."""
    traffic = outcome.traffic
    print(f"\n{outcome.table()}\n")
    say(
        f"events sent {traffic.sent:,}, accepted {traffic.accepted:,}, repeats {traffic.duplicates:,}"
    )
    say(f"statements {'all balance' if outcome.balanced else 'DO NOT BALANCE'}")
    for oddity in outcome.oddities:
        say(f"✗ {oddity}")
    say(
        "nothing lost, nothing billed twice, on three clouds"
        if outcome.right
        else "NOT AS EXPECTED: see what is marked ✗"
    )
    RESULT.write_text(json.dumps({"product": PRODUCT, **outcome.to_json()}, indent=2) + "\n")


def main() -> int:
    """Exit code 0 only if every quantity is right."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    RESULT.unlink(missing_ok=True)
    try:
        with (
            running_sandbox() as marketplace,
            LocalCloud(FOLDER, marketplace_endpoint=marketplace.url, report=say) as cloud,
        ):
            outcome = run(cloud, marketplace.control)
            conclude(outcome)
            say(f"API {cloud.api_url}/v1 · AWS {cloud.endpoint} · sandbox {marketplace.url}")
            say("(stopped now; `make up` starts the same and leaves it running)")
    except ProgramError as error:
        say(str(error))
        return 1
    return 0 if outcome.right else 1


if __name__ == "__main__":
    sys.exit(main())
