"""The path of a report, through real HTTP."""

import pytest

from tests.api.client import city, person
from tests.conftest import Service, both_engines

pytestmark = [pytest.mark.anyio, both_engines]


async def test_a_report_is_filed_accepted_worked_on_and_closed(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    report = await bordeaux.report()
    assert report["state"] == "NEW"
    assert report["_embedded"]["stateTransitions"] == ["accept", "refuse"]
    report = await bordeaux.move(report, "accept", "progress")
    operation = await bordeaux.operation(report)
    path = f"/operations/{operation['id']}"
    refused = await bordeaux.admin.call("POST", f"/reports/{report['id']}/workflow/transition", {"transition": "close"})
    assert refused.status_code == 409
    operation = await bordeaux.admin.post(f"{path}/assign", {"member": bordeaux.member_id})
    assert operation["state"] == "ASSIGNED"
    for transition in ("progress", "resolve"):
        operation = await bordeaux.admin.post(f"{path}/workflow/transition", {"transition": transition})
    report = await bordeaux.move(report, "close")
    assert report["state"] == "CLOSED"
    assert report["_embedded"]["tracking"]["progression"] == {"resolved": 1.0, "total": 1}
