"""How marketplaces differ is data: no rule of the domain, no use case asks which one it is."""

from __future__ import annotations

import ast
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from meterbridge.domain.agreements import REPORTED_CHANNELS
from meterbridge.domain.offerings import Channel
from meterbridge.domain.policy import POLICIES, MarketplacePolicy, policy_at, reporting_policy

PACKAGE = Path(__file__).resolve().parents[2] / "layers/common/python/meterbridge"
MARKETPLACES = {"Channel.AWS", "Channel.AZURE", "Channel.GCP"}
DATA = {
    ("domain/agreements.py", "AwsBuyerReference"),
    ("domain/agreements.py", "AzureBuyerReference"),
    ("domain/agreements.py", "GcpBuyerReference"),
    ("domain/channels.py", ""),
    ("domain/correction_requests.py", ""),
    ("domain/policy.py", ""),
    ("domain/listing_fees.py", ""),
    ("domain/pricing/listing_limits.py", ""),
    ("domain/publishing/listings.py", "AwsListing"),
    ("domain/publishing/listings.py", "AzureListing"),
    ("domain/publishing/listings.py", "GcpListing"),
}
"""Where a marketplace may be named: whose words a reference or a listing is in, whose rules these are."""

MODULES = sorted(
    path for layer in ("domain", "application") for path in (PACKAGE / layer).rglob("*.py")
)


def named_in(path: Path) -> set[tuple[str, str]]:
    """Where a module names a marketplace: the class or function, "" for the module itself."""
    found = set()

    def visit(node: ast.AST, place: str) -> None:
        if ast.unparse(node) in MARKETPLACES:
            found.add((str(path.relative_to(PACKAGE)), place))
        for child in ast.iter_child_nodes(node):
            named = isinstance(child, ast.ClassDef | ast.FunctionDef)
            visit(child, child.name if named else place)

    visit(ast.parse(path.read_text()), "")
    return found


def compared_in(path: Path) -> set[str]:
    """Texts that name a marketplace and are compared with something."""
    names = {channel.value for channel in REPORTED_CHANNELS}
    return {
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare | ast.MatchValue)
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and inner.value in names
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_rule_asks_which_marketplace_it_is(path: Path) -> None:
    assert named_in(path) <= DATA
    assert compared_in(path) == set()


def test_the_search_finds_a_marketplace_where_one_is_named() -> None:
    found = {place for path in MODULES for place in named_in(path)}
    assert found == DATA


def test_every_marketplace_that_is_reported_to_has_its_rules_as_data() -> None:
    assert {policy.channel for policy in POLICIES} == set(REPORTED_CHANNELS)
    now = datetime(2026, 11, 24, tzinfo=UTC)
    for channel in Channel:
        assert (reporting_policy(channel, now) is not None) is (channel in REPORTED_CHANNELS)


def test_each_rule_in_which_they_differ_is_a_field() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    policies = [policy_at(channel, now) for channel in REPORTED_CHANNELS]
    differing = {
        each.name
        for each in fields(MarketplacePolicy)
        if len({repr(getattr(policy, each.name)) for policy in policies}) > 1
    }
    assert differing >= {
        "lateness",
        "month_end_grace",
        "flush_window",
        "max_batch",
        "max_calls_per_second",
        "max_quantity",
        "zero_allowed",
        "resend_window",
    }
