"""The offering that docs/api.md explains comes to the figures that it tells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from agreed_setup import use
from api_setup import AGREEMENT, CUSTOMER, Api
from offering_terms import create_catalog

DOCS = (Path(__file__).parents[3] / "docs" / "api.md").read_text()


def documented() -> tuple[dict[str, Any], list[list[str]]]:
    """The example's body, and the rows of its table."""
    section = DOCS.partition("## Offerings with terms")[2].partition("| a price's `model` |")[0]
    block = re.search(r"```json\n(.*?)```", section, re.DOTALL)
    assert block is not None
    rows = [
        [cell.strip(" `") for cell in line.strip("|").split("|")]
        for line in section.splitlines()
        if line.startswith("| `")
    ]
    return json.loads(block[1]), rows[1:]


def test_the_documented_offering_costs_what_the_documentation_says(api: Api) -> None:
    body, rows = documented()
    call = api.client()
    create_catalog(call)
    call("POST", "/v1/customers", CUSTOMER)
    published = call("POST", "/v1/offerings", body)
    assert published.status == 201
    reported = published.body["plans"][0]["terms"]["reporting"]
    assert {each["channel"]: [d["code"] for d in each["dimensions"]] for each in reported} == {
        channel: ["usage_charges"] for channel in ("aws", "azure", "gcp", "stripe", "manual")
    }
    deal = {**AGREEMENT, "offering_id": "off_ai", "plan_code": "pro"}
    assert call("POST", "/v1/agreements", deal).status == 201
    use(api, "2026-11-10T09", 5_000_000)
    use(api, "2026-11-20T09", 2_000_000)
    statement = call("GET", "/v1/agreements/agr_1/statement?period=2026-11").body
    assert statement["balanced"]
    found = [
        [
            line["code"],
            *(
                "" if amount == "0" else amount
                for amount in (
                    line["rated"],
                    line["list_charge"]["amount"],
                    line["credits"]["amount"],
                    line["net"]["amount"],
                )
            ),
        ]
        for line in statement["charge_lines"]
    ]
    assert sorted(found) == sorted(rows)
    (wallet,) = call("GET", "/v1/agreements/agr_1/wallet").body["grants"]
    assert (wallet["id"], wallet["granted"], wallet["spent"]) == ("welcome", "20", "20")
