"""Everybody who could call, and something of everything to call for: what the authorization matrix walks."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.api.client import INSIDE, PASSWORD, City, Person, city, person
from tests.conftest import ManualClock, Service
from tests.pictures import png
from tocsin.domain.roles import Role

CLOSED_PORT = "http://127.0.0.1:1024/"
EVERY_ROLE = [role.value for role in Role]


@dataclass(frozen=True)
class Actor:
    """Somebody who calls, and what tells what they may: `roles` in Bordeaux, `delegate` in the organization that
    Bordeaux delegated the report to; None: no member.
    """

    credential: str | None
    refused: bool = False
    machine: bool = False
    roles: tuple[str, ...] | None = None
    delegate: tuple[str, ...] | None = None
    person_id: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.credential is None else {"Authorization": f"Bearer {self.credential}"}


@dataclass
class Cast:
    """`ids`: of Bordeaux's things, by the variables of paths; `public`: of a feedback that everybody sees."""

    service: Service
    bordeaux: City
    partner: City
    other: City
    ids: dict[str, str]
    public: dict[str, str]
    actors: dict[str, Actor]
    own_operator: str
    reporter: str
    spare: str
    operator_member: str
    others: dict[str, str] = field(default_factory=dict)


async def cast(service: Service) -> Cast:
    """Bordeaux with a member of each role, a partner to whom the report is delegated, and another organization."""
    actors = await _refused(service)
    bordeaux = await city(await person(service.http, "admin@example.org"))
    partner = await city(await person(service.http, "partner@example.org"), "Water works", FAR)
    other = await city(await person(service.http, "other@example.org"), "Lyon", FAR)
    members = await _members(bordeaux)
    actors |= {name: one for name, (one, _) in members.items()}
    actors |= await _machines(bordeaux, partner, other)
    plain, _ = await _join(partner, "partner-plain@example.org")
    elsewhere, _ = await _join(other, "other-plain@example.org")
    reporter = await person(service.http, "reporter@example.org")
    spare = await person(service.http, "spare@example.org")
    actors |= {
        "the admin of the partner": Actor(partner.admin.token, delegate=(Role.ADMIN,), person_id=partner.admin.id),
        "a plain member of the partner": Actor(plain.token, delegate=(), person_id=plain.id),
        "the admin of another organization": Actor(other.admin.token, person_id=other.admin.id),
        "a plain member of another organization": Actor(elsewhere.token, person_id=elsewhere.id),
        "the reporter": Actor(reporter.token, person_id=reporter.id),
        "a stranger": Actor((await person(service.http, "stranger@example.org")).token),
        "nobody": Actor(None),
    }
    ids, public = await _things(bordeaux, partner, reporter, members)
    operator, operator_member = members["its operator"]
    assert operator.person_id is not None
    others = await _same_of(other)
    return Cast(
        service,
        bordeaux,
        partner,
        other,
        ids,
        public,
        actors,
        operator.person_id,
        reporter.id,
        spare.id,
        operator_member,
        others,
    )


FAR = {"type": "Polygon", "coordinates": [[[10.0, 50.0], [11.0, 50.0], [11.0, 51.0], [10.0, 50.0]]]}


async def _refused(service: Service) -> dict[str, Actor]:
    """Credentials that were good once, or never."""
    old = await city(await person(service.http, "old@example.org"), "Old", FAR)
    soon = {"name": "soon", "roles": EVERY_ROLE, "expiresAt": "2018-02-28T10:00:00+02:00"}
    expired = await old.admin.post(f"/organizations/{old.id}/tokens", soon)
    assert isinstance(service.clock, ManualClock)
    service.clock.advance(86_401)
    again = await person(service.http, "changed@example.org")
    lyon = await city(again, "Revoking", FAR)
    revoked = await again.post(f"/organizations/{lyon.id}/tokens", {"name": "revoked", "roles": EVERY_ROLE})
    await again.delete(f"/tokens/{revoked['id']}")
    service.clock.advance(1)
    link = await password_link(service, again.id)
    changed = await service.http.post(f"/security/password/change/{link}", json={"password": PASSWORD})
    assert changed.status_code == 204
    gone = await person(service.http, "gone@example.org")
    await gone.delete(f"/people/{gone.id}")
    return {
        "an expired login": Actor(old.admin.token, refused=True),
        "an expired token": Actor(expired["token"], refused=True),
        "a login of another password": Actor(again.token, refused=True),
        "a revoked token": Actor(revoked["token"], refused=True),
        "an erased person": Actor(gone.token, refused=True),
        "something malformed": Actor("a.b.c", refused=True),
    }


async def password_link(service: Service, person_id: str) -> str:
    use_cases = service.use_cases
    return await use_cases.context.storage.write(lambda tx: use_cases.authentication.make_link(tx, person_id))


async def _join(one: City, email: str, *roles: str) -> tuple[Person, str]:
    joined = await person(one.admin.http, email)
    path = f"/organizations/{one.id}/members"
    made = await one.admin.post(path, {"person": joined.id})
    await one.admin.patch(f"{path}/{made['id']}", {"roles": list(roles)})
    return joined, made["id"]


async def _members(bordeaux: City) -> dict[str, tuple[Actor, str]]:
    wanted: dict[str, tuple[str, ...]] = {
        "an agent": (Role.AGENT,),
        "its operator": (Role.OPERATOR,),
        "another operator": (Role.OPERATOR,),
        "an analyst": (Role.ANALYTICS,),
        "an exporter": (Role.EXPORT,),
        "a plain member": (),
    }
    admin = Actor(bordeaux.admin.token, roles=(Role.ADMIN,), person_id=bordeaux.admin.id)
    made = {"an admin": (admin, bordeaux.member_id)}
    for name, roles in wanted.items():
        one, member_id = await _join(bordeaux, f"{name.replace(' ', '-')}@example.org", *roles)
        made[name] = (Actor(one.token, roles=roles, person_id=one.id), member_id)
    return made


async def _machines(bordeaux: City, partner: City, other: City) -> dict[str, Actor]:
    async def token(one: City, *roles: str) -> str:
        made = await one.admin.post(f"/organizations/{one.id}/tokens", {"name": "machine", "roles": list(roles)})
        return str(made["token"])

    return {
        "a token of every role": Actor(await token(bordeaux, *EVERY_ROLE), machine=True, roles=tuple(EVERY_ROLE)),
        "a token without a role": Actor(await token(bordeaux), machine=True, roles=()),
        "the partner's token": Actor(await token(partner, Role.ADMIN), machine=True, delegate=(Role.ADMIN,)),
        "another organization's token": Actor(await token(other, *EVERY_ROLE), machine=True),
    }


async def _things(
    bordeaux: City, partner: City, reporter: Person, members: Mapping[str, tuple[Actor, str]]
) -> tuple[dict[str, str], dict[str, str]]:
    admin, organization = bordeaux.admin, f"/organizations/{bordeaux.id}"
    await admin.patch(organization, {"logo": png()})
    plain, _ = members["a plain member"]
    assert plain.person_id is not None
    assert plain.credential is not None
    await Person(admin.http, plain.person_id, plain.credential).patch(f"/people/{plain.person_id}", {"image": png()})
    category = await admin.post(f"{organization}/categories", {"name": "Lamps", "color": "#fc0", "icon": "fa-bug"})
    webhook = await bordeaux.webhook("reportCreated", CLOSED_PORT, signature="v1a")
    feedback = await _feedback(reporter, "VISIBILITY_PRIVATE")
    (report,) = (await admin.get(f"{organization}/reports"))["_embedded"]["items"]
    public = await _feedback(reporter, "VISIBILITY_PUBLIC")
    operation = await bordeaux.operation(report)
    await admin.post(f"/operations/{operation['id']}/assign", {"member": members["its operator"][1]})
    operation = await admin.post(f"/operations/{operation['id']}/images", {"image": png()})
    await admin.post(f"{organization}/relationships", {"organization": partner.id})
    await admin.post(f"{organization}/delegates", {"report": report["id"], "organization": partner.id})
    _, newcomer = await _join(bordeaux, "newcomer@example.org")
    token = await admin.post(f"{organization}/tokens", {"name": "idle"})
    replay = await admin.post(f"/webhooks/{webhook['id']}/replays", {"from": 1})
    events = await admin.get(f"{organization}/events")
    activities = await admin.get("/businessactivities")
    ids = {
        "organization": bordeaux.id,
        "member": newcomer,
        "token": token["id"],
        "relationship": partner.id,
        "person": plain.person_id,
        "business_activity": activities["_embedded"]["items"][0]["id"],
        "category": category["id"],
        "place": (await admin.get(f"{organization}/places"))["_embedded"]["items"][0]["id"],
        "feedback": feedback["id"],
        "report": report["id"],
        "operation": operation["id"],
        "webhook": webhook["id"],
        "sequence": "1",
        "replay": replay["id"],
        "event": events["_embedded"]["items"][0]["id"],
        "image of feedback": image_of(feedback),
        "image of operation": image_of(operation),
        "width": "10",
        "height": "10",
    }
    return ids, {**ids, "feedback": public["id"], "image of feedback": image_of(public)}


async def _feedback(reporter: Person, visibility: str) -> Any:
    made = await reporter.post("/feedbacks/issues", {"geo": INSIDE, "visibility": visibility})
    return await reporter.post(f"/feedbacks/{made['id']}/images", {"image": png()})


def image_of(one: Any) -> str:
    return str(one["_links"]["image"]["iriTemplate"]["mapping"]["image"])


async def _same_of(other: City) -> dict[str, str]:
    """What another organization has, to ask for Bordeaux's things as if they were in it."""
    webhook = await other.webhook("reportCreated", CLOSED_PORT)
    feedback = await _feedback_of(other)
    return {
        "organization": other.id,
        "webhook": webhook["id"],
        "feedback": feedback["id"],
        "operation": await _operation_of(other),
    }


async def _feedback_of(other: City) -> Any:
    where = {"point": {"latitude": 50.1, "longitude": 10.5}}
    return await other.admin.post("/feedbacks/issues", {"geo": where, "category": None})


async def _operation_of(other: City) -> str:
    (report,) = (await other.admin.get(f"/organizations/{other.id}/reports"))["_embedded"]["items"]
    return str((await other.operation(report))["id"])


def random_id() -> str:
    return str(uuid.uuid4())
