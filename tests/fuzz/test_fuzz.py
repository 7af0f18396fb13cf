"""What `make fuzz` stands on: it finds what is wrong, and its callers do themselves no harm."""

import random
from pathlib import Path
from typing import NoReturn

import pytest

from tests.fuzz.known import KEPT_MAX, Known, variables
from tests.fuzz.run import Amount, Found, figures, fuzz
from tests.fuzz.server import served
from tests.fuzz.steering import Steering
from tocsin.service.authentication import Authentication

ANSWER = {
    "id": "w",
    "_links": {
        "self": {"href": "/webhooks/w/deliveries/7", "iriTemplate": {"mapping": {"webhook": "w", "sequence": "7"}}},
        "schema": {"href": "/businessactivities/b", "iriTemplate": {"mapping": {"businessActivity": "b"}}},
        "next": {"href": "/webhooks/w/deliveries?cursor=7"},
    },
}


def known(*kept: str) -> Known:
    return Known(random.Random(1), kept)


async def _broken(*_: object) -> NoReturn:
    raise RuntimeError("planted")


def test_what_is_wrong_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Found()
    with served(tmp_path, None) as at:
        steering = Steering(at, 1)
        monkeypatch.setattr(Authentication, "caller", _broken)
        fuzz(steering, 1, Amount(each=0, chains=2), found)
        steering.close()
    kinds = {name.split(": ")[1] for name in found.wrong}
    assert {"not_a_server_error", "status_code_conformance"} <= kinds
    assert any(name.startswith("log: ") for name in found.wrong)
    assert "things wrong" in figures(found)


def test_names_are_learned_together_and_forgotten_with_what_they_are_of() -> None:
    of = known()
    of.read(ANSWER, "/webhooks/{webhook}/deliveries", {"webhook": "w"})
    both = variables("/webhooks/{webhook}/deliveries/{sequence}/attempts")
    assert of.pick(both, to_lose=False) == {"webhook": "w", "sequence": "7"}
    assert of.one("business_activity") == "b"
    assert of.one("report") is None
    of.forget({"webhook": "w"})
    assert of.pick(both, to_lose=False) is None


def test_what_callers_need_is_not_taken_from_them() -> None:
    of = known("mine")
    of.learn({"member": "mine", "organization": "o"})
    wanted = frozenset({"member", "organization"})
    assert of.pick(wanted, to_lose=True) is None
    assert of.pick(wanted, to_lose=False) is not None
    of.learn({"member": "theirs", "organization": "o"})
    assert of.pick(wanted, to_lose=True) == {"member": "theirs", "organization": "o"}


def test_sizes_of_images_are_no_names() -> None:
    assert variables("/people/{person}/image/{width}/{height}") == {"person"}


def test_no_more_is_kept_than_the_limit() -> None:
    of = known()
    for number in range(KEPT_MAX + 1):
        of.learn({"report": str(number)})
    of.forget({"report": str(KEPT_MAX)})
    picked = {of.one("report") for _ in range(5_000)}
    assert len(picked) < KEPT_MAX
    assert "0" not in picked
