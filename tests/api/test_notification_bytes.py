"""The body of every event is, byte for byte, the resource exactly as GET served it at that moment."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.api.client import City, city, person
from tests.conftest import Service, serving
from tocsin.domain.states import OperationTransition, ReportTransition
from tocsin.storage.interface import Row
from tocsin.storage.schema import events

pytestmark = pytest.mark.anyio


async def logged(service: Service, after: int) -> list[Row]:
    """The events after a sequence, as the log keeps them."""
    async with service.use_cases.context.storage.read() as tx:
        return list(await tx.rows(select(events).where(events.c.sequence > after).order_by(events.c.sequence)))


class Walk:
    """A city whose every step is checked against its log."""

    def __init__(self, service: Service, bordeaux: City) -> None:
        self.service = service
        self.city = bordeaux
        self.sequence = 0
        self.operations: list[str] = []
        self.report = ""

    async def start(self) -> None:
        report = await self.city.report()
        self.report = report["id"]
        await self.check(("reportCreated", f"/reports/{self.report}"))

    async def body(self, path: str) -> bytes:
        response = await self.city.admin.call("GET", path)
        assert response.status_code == 200
        return response.content

    async def check(self, *expected: tuple[str, str], last: bytes | None = None) -> None:
        """Exactly these events came; `last`: the body of the last GET, where there is none now."""
        rows = await logged(self.service, self.sequence)
        assert [row["event"] for row in rows] == [event for event, _ in expected]
        for row, (event, path) in zip(rows, expected, strict=True):
            resource = await self.body(path) if last is None else last
            assert row["body"] == b'{"event":"%s","payload":%s}' % (event.encode(), resource)
            self.sequence += 1
            assert row["sequence"] == self.sequence

    async def step(self, kind: str, index: int, name: str) -> None:
        if kind == "report":
            await self.transition_report(name)
        elif kind == "create":
            await self.create()
        elif self.operations:
            operation = self.operations[index % len(self.operations)]
            await {"assign": self.assign, "remove": self.remove, "patch": self.patch}.get(
                kind, lambda one: self.transition_operation(one, name)
            )(operation)

    async def transition_report(self, name: str) -> None:
        path = f"/reports/{self.report}"
        answer = await self.city.admin.call("POST", f"{path}/workflow/transition", {"transition": name})
        assert answer.status_code in (200, 409)
        await self.check(*([("reportStateChanged", path)] if answer.status_code == 200 else []))

    async def create(self) -> None:
        answer = await self.city.admin.call("POST", "/operations", {"report": self.report})
        assert answer.status_code in (201, 409)
        if answer.status_code == 201:
            self.operations.append(answer.json()["id"])
            await self.check(("operationCreated", f"/operations/{self.operations[-1]}"))

    async def assign(self, operation: str) -> None:
        path = f"/operations/{operation}"
        before = (await self.city.admin.get(path))["state"]
        answer = await self.city.admin.call("POST", f"{path}/assign", {"member": self.city.member_id})
        assert answer.status_code in (200, 409)
        changed = answer.status_code == 200 and answer.json()["state"] != before
        await self.check(*([("operationStateChanged", path)] if changed else []))

    async def transition_operation(self, operation: str, name: str) -> None:
        path = f"/operations/{operation}"
        answer = await self.city.admin.call("PATCH", f"{path}/state", {"transition": name})
        assert answer.status_code in (200, 400, 409)
        await self.check(*([("operationStateChanged", path)] if answer.status_code == 200 else []))

    async def patch(self, operation: str) -> None:
        await self.city.admin.patch(f"/operations/{operation}", {"description": "é \u2028 \U0001f525 </script>"})
        await self.check()

    async def remove(self, operation: str) -> None:
        path = f"/operations/{operation}"
        last = await self.body(path)
        await self.city.admin.delete(path)
        self.operations.remove(operation)
        await self.check(("operationRemoved", path), last=last)
        for gone in (path, f"{path}/tracking"):
            assert (await self.city.admin.call("GET", gone)).status_code == 404


STEPS = st.tuples(
    st.sampled_from(["report", "report", "create", "assign", "transition", "transition", "remove", "patch"]),
    st.integers(0, 3),
    st.sampled_from([*ReportTransition, *OperationTransition]),
).map(lambda step: (step[0], step[1], step[2] if step[0] != "report" else _of_report(step[2])))


def _of_report(name: str) -> str:
    known = list(ReportTransition)
    return name if name in known else known[len(name) % len(known)]


def _transition(step: tuple[str, int, str]) -> bool:
    return step[0] != "transition" or step[2] in list(OperationTransition)


async def test_each_of_the_five_events_carries_what_get_serves(service: Service) -> None:
    walk = Walk(service, await city(await person(service.http)))
    await walk.start()
    script: list[Any] = [("report", 0, "accept"), ("create", 0, ""), ("assign", 0, ""), ("remove", 0, "")]
    for step in script:
        await walk.step(*step)
    assert {row["event"] for row in await logged(service, 0)} == {
        "reportCreated",
        "reportStateChanged",
        "operationCreated",
        "operationStateChanged",
        "operationRemoved",
    }


@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS.filter(_transition), min_size=6, max_size=16))
async def test_on_every_step_of_a_random_walk(steps: list[tuple[str, int, str]], tmp_path_factory: Any) -> None:
    directory: Path = tmp_path_factory.mktemp("walk")
    async with serving(directory) as service:
        walk = Walk(service, await city(await person(service.http)))
        await walk.start()
        for step in steps:
            await walk.step(*step)
