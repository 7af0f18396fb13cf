"""How bad what is found is, and what is to be done: at each boundary."""

from pathlib import Path

import pytest

from tocsin.clock import SECOND
from tocsin.domain.diagnosis import Finding, Severity, severe, warning, well, worst
from tocsin.service import diagnosis
from tocsin.service.diagnosis import MIB
from tocsin.storage import postgres_examination
from tocsin.storage.postgres_examination import skew

NOW = 1_519_725_600 * SECOND
DURABLE = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "standby_names": "",
    "standbys": 0,
    "is_standby": False,
    "version": "14.0",
    "version_num": 140_000,
    "connections_left": 17,
}


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([], Severity.WELL),
        ([well("a", "x")], Severity.WELL),
        ([warning("a", "x", "y"), well("b", "x")], Severity.WARNING),
        ([severe("a", "x", "y"), warning("b", "x", "y")], Severity.SEVERE),
    ],
)
def test_the_worst_finding_is_what_counts(findings: list[Finding], expected: Severity) -> None:
    assert worst(findings) is expected


@pytest.mark.parametrize(
    ("finding", "expected"),
    [
        (diagnosis.disk(256 * MIB - 1, 1000 * MIB), Severity.SEVERE),
        (diagnosis.disk(256 * MIB, 1000 * MIB), Severity.WARNING),
        (diagnosis.disk(2048 * MIB, 20_480 * MIB), Severity.WELL),
        (diagnosis.disk(2048 * MIB, 20_481 * MIB), Severity.WARNING),
        (diagnosis.key_mode(Path("key"), 0o100600), Severity.WELL),
        (diagnosis.key_mode(Path("key"), 0o100640), Severity.SEVERE),
        (diagnosis.key_mode(Path("key"), 0o100604), Severity.SEVERE),
        (diagnosis.public_url(None), Severity.WARNING),
        (diagnosis.public_url("https://127.0.0.1:8000"), Severity.WARNING),
        (diagnosis.public_url("http://tocsin.example.org"), Severity.WARNING),
        (diagnosis.public_url("https://tocsin.example.org"), Severity.WELL),
        (diagnosis.resolver([], []), Severity.WELL),
        (diagnosis.resolver(["a"], ["a"]), Severity.WARNING),
        (diagnosis.resolver(["a", "b"], ["b"]), Severity.WARNING),
        (diagnosis.resolver(["a", "b"], ["a", "b"]), Severity.SEVERE),
        (diagnosis.future(5), Severity.WELL),
        (diagnosis.future(5.1), Severity.WARNING),
        (diagnosis.waiting(None, NOW), Severity.WELL),
        (diagnosis.waiting(NOW - 60 * SECOND, NOW), Severity.WELL),
        (diagnosis.waiting(NOW - 61 * SECOND, NOW), Severity.WARNING),
        *((one, Severity.WELL) for one in diagnosis.housekeeping(NOW - 3600 * SECOND, NOW)),
        *((one, Severity.WARNING) for one in diagnosis.housekeeping(NOW - 3601 * SECOND, NOW)),
        (skew(-1.0), Severity.WELL),
        (skew(1.1), Severity.WARNING),
        (skew(-60.1), Severity.SEVERE),
    ],
)
def test_each_check_has_its_limits(finding: Finding, expected: Severity) -> None:
    assert finding.severity is expected
    assert bool(finding.advice) is (expected is not Severity.WELL)


@pytest.mark.parametrize(
    ("changed", "check", "expected"),
    [
        ({}, "durability", Severity.WELL),
        ({"fsync": "off"}, "durability", Severity.SEVERE),
        ({"full_page_writes": "off"}, "durability", Severity.SEVERE),
        ({"synchronous_commit": "off"}, "durability", Severity.SEVERE),
        ({"is_standby": True}, "durability", Severity.SEVERE),
        ({"standbys": 1}, "standby", Severity.WARNING),
        ({"standbys": 1, "standby_names": "*"}, "standby", Severity.WELL),
        ({"standby_names": "*", "synchronous_commit": "local"}, "standby", Severity.WARNING),
        ({"version_num": 139_999}, "database", Severity.SEVERE),
        ({"connections_left": 16}, "connections", Severity.WARNING),
    ],
)
def test_what_postgresql_says_of_itself_is_judged(changed: dict[str, object], check: str, expected: Severity) -> None:
    found = {one.check: one for one in postgres_examination.judge({**DURABLE, **changed})}
    assert found[check].severity is expected
    assert all(one.severity is Severity.WELL for name, one in found.items() if name != check)


def test_a_finding_names_a_few_and_counts_the_others() -> None:
    rows = [{"id": str(number), "disabled_reason": "Gone.", "lost": 1} for number in range(5)]
    (disabled, lost) = diagnosis.webhooks(rows, rows[:1])
    assert disabled.found == "5 disabled by the service: 0, 1, 2, and 2 more."
    assert lost.found == "1 lost events: 0."


def test_an_endpoint_is_named_without_what_its_url_may_hide() -> None:
    row = {"url": "https://user:word@example.org:8443/hook?token=x", "opened_at": NOW, "failing_since": NOW}
    (finding,) = diagnosis.endpoints([row])
    assert finding.found == "1 down: example.org:8443/hook since 2018-02-27T10:00:00+00:00."
