"""The body of every event is, byte for byte, the resource as GET served it at that moment to each who holds it."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from tests.api.cast import FAR
from tests.api.client import INSIDE, City, city, person
from tests.conftest import ManualClock, Service, serving
from tests.pictures import png
from tocsin.domain.states import OperationTransition, ReportTransition
from tocsin.storage.interface import Row
from tocsin.storage.schema import events

pytestmark = pytest.mark.anyio

Told = tuple[City, str, str]
"""An organization, the event that it hears of, and the path of what the event is about."""
Step = tuple[str, int, str]
"""What is done, to which operation and by whom, and a transition."""
TEXT = "é \u2028 \U0001f525 </script>"


async def logged(service: Service, organization_id: str, after: int) -> list[Row]:
    """The organization's events after a sequence, as its log keeps them."""
    statement = select(events).where(events.c.organization_id == organization_id, events.c.sequence > after)
    async with service.use_cases.context.storage.read() as tx:
        return list(await tx.rows(statement.order_by(events.c.sequence)))


class Walk:
    """A report, what organizations do with it, and the log of each of them, compared after every step.

    The first city owns it, each is the partner of the one before it, and `sibling` got a report of the same feedback.
    """

    def __init__(self, service: Service) -> None:
        self.service = service
        self.sequences: dict[str, int] = {}
        self.operations: list[str] = []
        self.actor = 0
        self.steps: dict[str, Callable[[str, str], Awaitable[None]]] = {
            "report": self.transition_report,
            "edit": self.edit_report,
            "delegate": self.delegate,
            "create": self.create,
            "assign": self.assign,
            "transition": self.transition_operation,
            "patch": self.patch,
            "null": self.patch_with_nulls,
            "illustrate": self.illustrate,
            "comment": self.comment,
            "remove": self.remove,
        }

    async def start(self) -> None:
        http = self.service.http
        names = [f"{name}@example.org" for name in "abcd"]
        owner, *partners, self.sibling = [
            await city(await person(http, name), name, **({} if name[0] in "ad" else {"polygon": FAR}))
            for name in names
        ]
        self.cities = [owner, *partners]
        for one, other in zip(self.cities, partners, strict=False):
            await one.admin.post(f"/organizations/{one.id}/relationships", {"organization": other.id})
        self.sequences = {one.id: 0 for one in (*self.cities, self.sibling)}
        feedback = {"geo": INSIDE, "description": TEXT, "metadata": {"lamp": TEXT}}
        self.feedback = (await owner.admin.post("/feedbacks/issues", feedback))["id"]
        self.report, self.of_sibling = [await self._path_of_report(one) for one in (owner, self.sibling)]
        self.holders = [owner]
        await self.check(*self.told("reportCreated", self.report), (self.sibling, "reportCreated", self.of_sibling))

    async def _path_of_report(self, one: City) -> str:
        (report,) = (await one.admin.get(f"/organizations/{one.id}/reports"))["_embedded"]["items"]
        return f"/reports/{report['id']}"

    @property
    def by(self) -> City:
        """Who does the step: one of those who hold the report."""
        return self.holders[self.actor % len(self.holders)]

    def told(self, event: str, path: str) -> list[Told]:
        """What everybody hears who holds the report."""
        return [(one, event, path) for one in self.holders]

    async def body(self, path: str, who: City | None = None) -> bytes:
        response = await (who or self.by).admin.call("GET", path)
        assert response.status_code == 200
        return response.content

    async def check(self, *expected: Told, last: bytes | None = None) -> None:
        """Exactly these events came; `last`: the body of the last GET, where there is none now."""
        for one in (*self.cities, self.sibling):
            own = [(event, path) for who, event, path in expected if who is one]
            rows = await logged(self.service, one.id, self.sequences[one.id])
            assert [row["event"] for row in rows] == [event for event, _ in own]
            for row, (event, path) in zip(rows, own, strict=True):
                resource = await self.body(path, one) if last is None else last
                assert row["body"] == b'{"event":"%s","payload":%s}' % (event.encode(), resource)
                self.sequences[one.id] += 1
                assert row["sequence"] == self.sequences[one.id]

    async def step(self, kind: str, index: int, name: str) -> None:
        """A second after the one before; what is done to an operation is nothing where there is none."""
        assert isinstance(self.service.clock, ManualClock)
        self.service.clock.advance(1)
        self.actor = index
        operation = self.operations[index % len(self.operations)] if self.operations else ""
        if operation or kind in {"report", "edit", "delegate", "create"}:
            await self.steps[kind](operation, name)

    async def transition_report(self, _: str, name: str) -> None:
        before = await self.body(self.of_sibling, self.sibling)
        answer = await self.by.admin.call("POST", f"{self.report}/workflow/transition", {"transition": name})
        assert answer.status_code in (200, 400, 409)
        changed = self.told("reportStateChanged", self.report) if answer.status_code == 200 else []
        settled = changed and name == "accept" and b'"state":"NEW"' in before
        await self.check(*changed, *([(self.sibling, "reportStateChanged", self.of_sibling)] if settled else []))

    async def edit_report(self, *_: str) -> None:
        path = f"/organizations/{self.by.id}/categories"
        category = await self.by.admin.post(path, {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"})
        members = {"description": TEXT, "tags": [TEXT, ""], "priority": -7, "identificationNumber": TEXT}
        await self.by.admin.patch(self.report, {**members, "category": category["id"]})
        await self.check()

    async def delegate(self, *_: str) -> None:
        """By the last who got it, to the next."""
        if len(self.holders) == len(self.cities):
            return
        one, other = self.holders[-1], self.cities[len(self.holders)]
        body = {"report": self.report.rpartition("/")[2], "organization": other.id}
        answer = await one.admin.call("POST", f"/organizations/{one.id}/delegates", body)
        assert answer.status_code in (200, 409)
        if answer.status_code == 200:
            self.holders.append(other)
        await self.check(*([(other, "reportCreated", self.report)] if answer.status_code == 200 else []))

    async def create(self, *_: str) -> None:
        body = {"report": self.report.rpartition("/")[2], "startDate": "2018-02-27T10:00:00+02:00", "duration": 30}
        answer = await self.by.admin.call("POST", "/operations", body)
        assert answer.status_code in (201, 409)
        if answer.status_code == 201:
            self.operations.append(f"/operations/{answer.json()['id']}")
        await self.check(*(self.told("operationCreated", self.operations[-1]) if answer.status_code == 201 else []))

    async def assign(self, operation: str, _: str) -> None:
        before = (await self.by.admin.get(operation))["state"]
        answer = await self.by.admin.call("POST", f"{operation}/assign", {"member": self.by.member_id})
        assert answer.status_code in (200, 409)
        changed = answer.status_code == 200 and answer.json()["state"] != before
        await self.check(*(self.told("operationStateChanged", operation) if changed else []))

    async def transition_operation(self, operation: str, name: str) -> None:
        answer = await self.by.admin.call("PATCH", f"{operation}/state", {"transition": name})
        assert answer.status_code in (200, 400, 409)
        await self.check(*(self.told("operationStateChanged", operation) if answer.status_code == 200 else []))

    async def patch(self, operation: str, _: str) -> None:
        members = {"name": TEXT, "description": TEXT, "identificationNumber": TEXT, "duration": 7}
        await self.by.admin.patch(operation, {**members, "startDate": "2018-02-27T23:59:59.999Z"})
        await self.check()

    async def patch_with_nulls(self, operation: str, _: str) -> None:
        members = {"name": None, "description": None, "identificationNumber": None, "duration": None, "startDate": None}
        await self._unchanged("PATCH", operation, members, about=operation)
        members = {"description": None, "tags": None, "priority": None, "identificationNumber": None, "category": None}
        await self._unchanged("PATCH", self.report, members, about=self.report)

    async def comment(self, operation: str, _: str) -> None:
        await self._unchanged("POST", f"{operation}/comments", {"text": TEXT}, about=operation)
        await self._unchanged("POST", f"/feedbacks/{self.feedback}/comments", {"text": TEXT}, about=self.report)
        assert (await self.by.admin.get(f"{operation}/logs"))["total"] > 0

    async def _unchanged(self, method: str, path: str, body: Any, *, about: str) -> None:
        before = await self.body(about)
        answer = await self.by.admin.call(method, path, body)
        assert answer.is_success
        assert await self.body(about) == before
        await self.check()

    async def illustrate(self, operation: str, _: str) -> None:
        """With a second image the first goes."""
        answer = await self.by.admin.post(f"{operation}/images", {"image": png()})
        images = [link["href"] for link in answer["_links"]["images"]]
        if len(images) == 2:
            await self.by.admin.delete(images[0].removeprefix(self.service.url))
        await self.check()

    async def remove(self, operation: str, _: str) -> None:
        last = await self.body(operation)
        await self.by.admin.delete(operation)
        self.operations.remove(operation)
        await self.check(*self.told("operationRemoved", operation), last=last)
        for gone in (operation, f"{operation}/tracking"):
            assert (await self.by.admin.call("GET", gone)).status_code == 404


OFTEN = ("report", "report", "create", "delegate", "assign", "transition", "transition")
SELDOM = ("edit", "patch", "null", "illustrate", "comment", "remove")
STEPS = st.one_of(
    st.tuples(st.just("report"), st.integers(0, 3), st.sampled_from(list(ReportTransition))),
    st.tuples(
        st.sampled_from([*(one for one in OFTEN if one != "report"), *SELDOM]),
        st.integers(0, 3),
        st.sampled_from(list(OperationTransition)),
    ),
)


async def test_each_of_the_five_events_carries_what_get_serves(service: Service) -> None:
    walk = Walk(service)
    await walk.start()
    script = "report edit delegate create illustrate assign patch null illustrate comment delegate transition remove"
    transitions = {"report": "accept", "transition": "progress"}
    for number, kind in enumerate(script.split()):
        await walk.step(kind, number, transitions.get(kind, ""))
    heard = [{row["event"] for row in await logged(service, one.id, 0)} for one in walk.cities]
    everything = {
        "reportCreated",
        "reportStateChanged",
        "operationCreated",
        "operationStateChanged",
        "operationRemoved",
    }
    assert heard[0] == everything
    assert heard[1] == everything - {"reportStateChanged"}, "it got an accepted report"
    assert heard[2] == {"reportCreated", "operationStateChanged", "operationRemoved"}
    assert [row["event"] for row in await logged(service, walk.sibling.id, 0)] == [
        "reportCreated",
        "reportStateChanged",
    ]


@settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEPS, min_size=6, max_size=20))
async def test_on_every_step_of_a_random_walk(steps: list[Step], tmp_path_factory: Any) -> None:
    directory: Path = tmp_path_factory.mktemp("walk")
    async with serving(directory) as service:
        walk = Walk(service)
        await walk.start()
        for step in steps:
            await walk.step(*step)
