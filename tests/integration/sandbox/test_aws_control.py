from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from integration.sandbox.seller import BUYER, HOUR, LICENSE, NOW, PRODUCT, Seller, usage
from sandbox.marketplaces.billed import BilledRecord
from sandbox.marketplaces.client import SandboxControl, SandboxControlError
from sandbox.marketplaces.clock import SandboxClock, format_instant, parse_instant
from sandbox.marketplaces.http_server import running_sandbox

ROOT = Path(__file__).parents[3]


def test_a_frozen_clock_moves_only_when_told_to(seller: Seller) -> None:
    assert seller.control.now() == NOW
    step = timedelta(hours=1, microseconds=1)
    assert seller.control.advance_clock(step) == NOW + step
    assert seller.control.advance_clock(-step) == NOW


def test_a_running_clock_goes_on_from_where_it_was_set(seller: Seller) -> None:
    seller.control.set_clock(NOW, frozen=False)
    first, second = seller.control.now(), seller.control.now()
    assert NOW < first < second < NOW + timedelta(minutes=1)


def test_a_reset_clock_shows_the_real_time(seller: Seller) -> None:
    seller.control.reset_clock()
    assert abs(datetime.now(UTC) - seller.control.now()) < timedelta(minutes=1)


def test_a_clock_setting_survives_being_written_down() -> None:
    clock = SandboxClock(real=lambda: NOW)
    for frozen in (True, False):
        clock.set(HOUR, frozen=frozen)
        copy = SandboxClock(real=lambda: NOW + timedelta(minutes=5))
        copy.restore(clock.to_fact())
        assert copy.now() == (HOUR if frozen else HOUR + timedelta(minutes=5))


def test_an_instant_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        parse_instant("2026-11-20T12:00:00")
    assert parse_instant("2026-11-20T13:00:00+01:00") == NOW.replace(minute=0)
    assert format_instant(NOW) == "2026-11-20T12:30:00Z"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "clock", {}),
        ("PUT", "clock", {"now": "noon"}),
        ("PUT", "clock", {"now": "9999-01-01T00:00:00Z"}),
        ("POST", "clock/advance", {"seconds": "many"}),
        ("POST", "clock/advance", {"seconds": "1e30"}),
        ("POST", "aws/products", {"product_code": "p", "dimensions": []}),
        ("POST", "aws/products", {"product_code": "a b", "dimensions": ["d"]}),
        ("POST", "aws/products", {"dimensions": ["d"]}),
        (
            "POST",
            "aws/products",
            {"product_code": "p", "dimensions": [{"key": "d", "unit_price": "NaN"}]},
        ),
        ("POST", "aws/agreements", {"product_code": PRODUCT}),
        (
            "POST",
            "aws/agreements",
            {"product_code": PRODUCT, "account_id": "1", "start": "2026-11-01T00:00:00Z"},
        ),
        (
            "POST",
            "aws/agreements",
            {"product_code": "unknown", "account_id": BUYER, "start": "2026-11-01T00:00:00Z"},
        ),
        ("POST", "aws/agreements/end", {"license_arn": "arn:unknown"}),
        ("POST", "aws/agreements/end", {"license_arn": LICENSE, "at": "later"}),
        ("PATCH", "aws/settings", {"calls_per_minute": 3}),
        ("PATCH", "aws/settings", {"calls_per_second": "3"}),
        ("PATCH", "aws/settings", {"calls_per_second": -1}),
        ("PATCH", "aws/settings", {"identical_resend": "Maybe"}),
        ("GET", "billed?colour=red", {}),
        ("GET", "nothing", {}),
        ("DELETE", "aws/products", {}),
    ],
)
def test_a_control_request_that_makes_no_sense_is_refused_by_name(
    seller: Seller, method: str, path: str, body: dict[str, object]
) -> None:
    with pytest.raises(SandboxControlError, match=path.split("?")[0]):
        seller.control.request(method, path, body)


def test_registrations_and_settings_can_be_read_back(seller: Seller) -> None:
    products = seller.control.request("GET", "aws/products")["products"]
    assert products[0] == {
        "product_code": PRODUCT,
        "dimensions": [
            {"key": "api_calls", "allow_decimal": True, "unit_price": "0.0025"},
            {"key": "tokens", "allow_decimal": True, "unit_price": None},
            {"key": "seats", "allow_decimal": False, "unit_price": "12"},
        ],
    }
    agreements = seller.control.request("GET", "aws/agreements")["agreements"]
    assert LICENSE in {agreement["license_arn"] for agreement in agreements}
    assert seller.control.request("GET", "aws/settings")["calls_per_second"] == 0


def test_the_bill_lists_records_totals_charges_and_counts_of_calls(seller: Seller) -> None:
    seller.send(usage("0.1"), usage("0.2", Timestamp=HOUR.replace(hour=10)))
    seller.send(usage("0.1"), usage("9"))
    bill = seller.control.billed(agreement=LICENSE, dimension="api_calls")
    (total,) = bill.totals
    assert (total.quantity, total.charge, total.records) == (
        Decimal("0.3"),
        Decimal("0.00075"),
        2,
    )
    assert bill.calls == {
        "total": 2,
        "unacknowledged": 0,
        "outcomes": {"Success": 2},
        "statuses": {"Success": 3, "DuplicateRecord": 1},
    }
    assert seller.control.billed(agreement="arn:other").records == ()


def test_the_call_log_shows_each_record_and_what_became_of_it(seller: Seller) -> None:
    seller.send(usage("17.50"))
    (call,) = seller.control.calls("aws")
    assert call == {
        "marketplace": "aws",
        "number": 1,
        "at": "2026-11-20T12:30:00Z",
        "operation": "BatchMeterUsage",
        "status": 200,
        "outcome": "Success",
        "acknowledged": True,
        "faults": [],
        "records": [
            {
                "license_arn": LICENSE,
                "account_id": BUYER,
                "dimension": "api_calls",
                "used_at": "2026-11-20T11:00:00Z",
                "quantity": "17.5",
                "status": "Success",
            }
        ],
    }
    assert seller.control.calls("azure") == []


def test_a_reset_can_keep_the_set_up(seller: Seller) -> None:
    seller.send(usage())
    seller.control.inject("slow")
    seller.control.reset(keep_setup=True)
    assert (seller.billed(), seller.control.calls(), seller.control.faults()) == ([], [], [])
    assert seller.control.now() == NOW
    assert seller.statuses(usage("18")) == ["Success"]
    seller.control.reset()
    seller.control.set_clock(NOW)
    assert seller.refused(usage()) == "InvalidLicenseException"


def test_a_path_that_no_marketplace_serves_is_not_found(seller: Seller) -> None:
    status, _, body = seller.post(b"{}", path="/api/nothing")
    assert (status, body) == (404, b'{"error": "no marketplace serves this path"}')


def test_many_clients_at_once_bill_each_key_once(seller: Seller) -> None:
    seller.client()
    with ThreadPoolExecutor(8) as pool:
        batches = [[usage(str(number), Timestamp=HOUR)] for number in range(40)]
        statuses = list(pool.map(lambda batch: seller.statuses(*batch), batches))
    assert sorted(status for (status,) in statuses) == ["DuplicateRecord"] * 39 + ["Success"]
    assert len(seller.billed()) == 1


def test_the_bill_survives_a_restart_and_so_does_first_write_wins(tmp_path: Path) -> None:
    state = tmp_path / "sandbox.jsonl"
    with running_sandbox(state=state) as first:
        seller = Seller(first)
        seller.set_up()
        seller.send(usage("17"), usage("0.000001", Dimension="tokens"))
        seller.send(usage("18"))
        seller.control.aws.end_agreement(LICENSE, at=NOW + timedelta(hours=3))
        before = seller.control.billed()
        seller.close()
    with state.open("ab") as file:
        file.write(b'{"of": "aws", "kind": "bil')
    with running_sandbox(state=state) as second:
        seller = Seller(second)
        after = seller.control.billed()
        assert (after.records, after.totals) == (before.records, before.totals)
        assert seller.control.now() == NOW
        assert seller.statuses(usage("17")) == ["Success"]
        assert seller.statuses(usage("18")) == ["DuplicateRecord"]
        seller.control.reset(keep_setup=True)
        seller.close()
    with running_sandbox(state=state) as third:
        seller = Seller(third)
        assert seller.billed() == []
        assert seller.statuses(usage("18")) == ["Success"]
        seller.close()


def test_a_billed_record_reads_back_as_it_was_written() -> None:
    record = BilledRecord(
        marketplace="aws",
        region="us-east-1",
        agreement=LICENSE,
        buyer=BUYER,
        product=PRODUCT,
        dimension="api_calls",
        hour=HOUR,
        used_at=HOUR,
        quantity=Decimal("9999999999.999999"),
        record_id="1",
        received_at=NOW,
        unit_price=Decimal("0.00000001"),
        answers={"Success": 1},
        refused_quantities=(Decimal("1.5"),),
    )
    assert BilledRecord.from_json(record.to_json()) == record
    assert record.to_json()["unit_price"] == "0.00000001"


def test_the_sandbox_runs_as_a_process_of_the_standard_library_alone(tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-S", "-c"]
    script = (
        f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); "
        "sys.argv = ['sandbox', '--state', sys.argv[1]]; "
        "runpy.run_module('sandbox.marketplaces', run_name='__main__')"
    )
    with subprocess.Popen(
        [*command, script, str(tmp_path / "state.jsonl")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={"PATH": os.environ["PATH"]},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line.startswith("marketplace sandbox on http://127.0.0.1:")
        assert SandboxControl(line.split()[-1]).healthy()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
        assert process.stderr.read() == ""


def test_a_sandbox_that_is_gone_is_not_healthy() -> None:
    with running_sandbox() as running:
        assert running.control.healthy()
    assert not running.control.healthy()


def test_stopping_does_not_wait_for_slow_answers_or_open_connections() -> None:
    with running_sandbox() as running:
        seller = Seller(running)
        seller.set_up()
        seller.send(usage())
        seller.control.inject("slow", delay_seconds=3600)
        pool = ThreadPoolExecutor(1)
        held_back = pool.submit(seller.statuses, usage())
        while len(seller.control.calls()) < 2:
            pass
    assert held_back.exception(timeout=60) is not None
    pool.shutdown()
    seller.close()
