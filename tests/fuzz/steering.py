"""What is changed of a drawn call before it is sent: who calls, about what, and what must not go out or get lost.

Values that were drawn wrong on purpose stay wrong. Everything here draws from one seed.
"""

import random
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
from schemathesis import APIOperation, Case, GenerationMode, Response
from schemathesis.core.parameters import ParameterLocation

from tests.api.cast import Actor
from tests.api.client import INSIDE, PASSWORD, SQUARE
from tests.fuzz.known import RENAMED, Known, variables
from tests.fuzz.server import Served
from tests.pictures import png

MOSTLY: Final = 0.85
ADMINS: Final = 0.75
"""The share of calls that the admin makes: it gets furthest. The others make the rest, and nobody some."""
OWN: Final = 0.6
"""The share of calls about an organization that are about the admin's."""
LONELY: Final = {
    ("DELETE", "/people/{person}"): "its caller would be gone: one registers for it",
    ("POST", "/security/password/change/{token}"): "its token comes by mail: a link is made for it",
}
LOSING: Final = {
    ("PATCH", "/organizations/{organization}/members/{member}"): "callers would lose their roles",
    ("DELETE", "/organizations/{organization}/members/{member}"): "callers would lose their organization",
    ("DELETE", "/organizations/{organization}/relationships/{relationship}"): "nothing could be delegated any more",
    ("DELETE", "/tokens/{token}"): "callers would lose their credentials",
}
"""Calls that are not made about the callers themselves, and why. Those who lost something are played by `cast`."""
CONDITIONS: Final = ("If-Match", "If-None-Match", "Idempotency-Key", "last-event-id")
IN_BODIES: Final = ("report", "organization", "person", "member", "category", "businessActivity")
WAIT_SECONDS: Final = 1


Drawn = Case[APIOperation[Any, Any, Any, Any]]


class Steering:
    """Between drawing and sending, and after the answer."""

    def __init__(self, at: Served, seed: int) -> None:
        self.at = at
        self._chance = random.Random(seed)
        self._number = 0
        self._actors = {name: one for name, one in at.of.actors.items() if not one.refused}
        self._admin = at.of.bordeaux.admin.headers
        self._http = httpx.Client(base_url=at.url, timeout=30)
        self.known = Known(self._chance, self._callers_own())
        for path in ("/people", "/feedbacks", "/businessactivities", "/organizations", "/places", "/categories"):
            self._look(path)
        for name in ("reports", "operations", "members", "webhooks", "relationships", "events", "tokens"):
            self._look(f"/organizations/{at.of.bordeaux.id}/{name}")
        for one in self._http.get(f"/organizations/{at.of.bordeaux.id}/webhooks?limit=100", headers=self._admin).json()[
            "_embedded"
        ]["items"]:
            self._look(f"/webhooks/{one['id']}/deliveries")
        for kind in ("feedback", "operation"):
            self.known.learn({kind: at.of.ids[kind], "image": at.of.ids[f"image of {kind}"]})

    def close(self) -> None:
        self._http.close()

    def _callers_own(self) -> list[str]:
        """Ids that callers can't do without."""
        of = self.at.of
        ids = [one.person_id for one in of.actors.values() if one.person_id is not None]
        for city in (of.bordeaux, of.partner, of.other):
            for kind in ("members", "tokens"):
                page = self._http.get(f"/organizations/{city.id}/{kind}?limit=100", headers=city.admin.headers).json()
                ids += [one["id"] for one in page["_embedded"]["items"]]
        ids.append(of.partner.id)
        return [one for one in ids if one not in {of.ids["member"], of.ids["token"]}]

    def _look(self, path: str) -> None:
        answer = self._http.get(path, headers=self._admin)
        self.known.read(answer.json(), path, {"organization": self.at.of.bordeaux.id})

    # Before a call

    def before(self, case: Drawn) -> None:
        call = (case.method.upper(), case.path)
        self._authorize(case, self._caller())
        self._name(case, call)
        for name in CONDITIONS:
            if name in case.headers and self._mostly():
                del case.headers[name]
        if isinstance(case.query, dict):
            self._ask(case)
        if isinstance(case.body, dict):
            case.body = self._said(case, call)

    def _mostly(self) -> bool:
        return self._chance.random() < MOSTLY

    def _caller(self) -> Actor:
        if self._chance.random() < ADMINS:
            return self._actors["an admin"]
        return self._actors[self._chance.choice(sorted(self._actors))]

    def _authorize(self, case: Drawn, who: Actor) -> None:
        case.headers.pop("Authorization", None)
        case.headers.update(who.headers)

    def _name(self, case: Drawn, call: tuple[str, str]) -> None:
        """Real names for the variables of the path, mostly."""
        wanted = variables(case.path)
        if call in LONELY:
            self._alone(case, call)
        elif wanted:
            found = self._found(case.path, wanted, to_lose=call in LOSING) if self._mostly() else None
            if found is not None:
                case.path_parameters = {**case.path_parameters, **found}
        if call in LOSING and not self.known.spares(_texts(case.path_parameters)):
            case.path_parameters = {**case.path_parameters, **dict.fromkeys(wanted, "nothing")}

    def _found(self, path: str, wanted: frozenset[str], *, to_lose: bool) -> Mapping[str, str] | None:
        if "/image" in path and wanted == {"person"} and self._chance.random() < OWN:
            return {"person": self.at.of.ids["person"]}
        if wanted == {"organization"} and self._chance.random() < OWN:
            return {"organization": self.at.of.bordeaux.id}
        return self.known.pick(wanted, to_lose=to_lose)

    def _alone(self, case: Drawn, call: tuple[str, str]) -> None:
        if call[0] == "DELETE":
            who = self._registered()
            self._authorize(case, who)
            case.path_parameters = {"person": who.person_id if self._mostly() else self.at.of.spare}
        elif self._mostly():
            case.path_parameters = {"token": self.at.password_link()}

    def _registered(self) -> Actor:
        self._number += 1
        account = {"email": f"alone-{self._number}@example.org", "password": PASSWORD}
        made = self._http.post("/security/register", json=account).json()
        login = self._http.post("/security/login", json={"login": account["email"], "password": PASSWORD}).json()
        return Actor(login["accessToken"], person_id=made["id"])

    def _ask(self, case: Drawn) -> None:
        """Fewer filters at once, real names in them, and no long wait for events."""
        asked = dict(case.query)
        if not _negative(case, ParameterLocation.QUERY):
            asked = {name: one for name, one in asked.items() if self._chance.random() < 0.5}
            for name in ("organization", "business_activity", "category", "webhook", "parent"):
                real = self.known.one({"parent": "place"}.get(name, name)) if name in asked else None
                if real is not None and self._mostly():
                    asked[name] = real
        if str(asked.get("wait", 0)).isdigit():
            asked |= {"wait": min(int(asked["wait"]), WAIT_SECONDS)} if "wait" in asked else {}
        case.query = asked

    def _said(self, case: Drawn, call: tuple[str, str]) -> dict[str, Any]:
        """Real names and files in a body; and no URL that leads out of this machine."""
        assert isinstance(case.body, dict)
        said: dict[str, Any] = dict(case.body)
        if not _negative(case, ParameterLocation.BODY):
            for name, make in self._makers(call).items():
                if name in said and self._mostly():
                    said[name] = make()
            said = {name: one for name, one in said.items() if one is not ...}
        if isinstance(said.get("payloadUrl"), str) and _leads_out(said["payloadUrl"]):
            said["payloadUrl"] = f"{self.at.receiver}/drawn"
        return said

    def _makers(self, call: tuple[str, str]) -> Mapping[str, Callable[[], Any]]:
        """By member: something that is real. `...`: the member is left out, since what is drawn is never taken."""
        self._number += 1
        real = {name: (lambda name=name: self.known.one(RENAMED.get(name, name)) or ...) for name in IN_BODIES}
        password = self._chance.choice([PASSWORD, "wrong password"])
        return {
            **real,
            "organization": lambda: (self._found("", frozenset({"organization"}), to_lose=False) or {}).get(
                "organization", ...
            ),
            "member": lambda: self.at.of.operator_member if self._chance.random() < OWN else real["member"](),
            "email": lambda: f"drawn-{self._number}@example.org",
            "login": lambda: "reporter@example.org",
            "password": lambda: password,
            "payloadUrl": lambda: f"{self.at.receiver}/drawn",
            "secret": lambda: ...,
            "headers": lambda: {"X-Drawn": "yes"},
            "image": png,
            "logo": png,
            "geo": lambda: INSIDE,
            "polygon": lambda: SQUARE,
            "metadata": lambda: ...,
            "proMode": lambda: False,
            "from": lambda: 1,
            "to": lambda: ...,
            "expiresAt": lambda: "2030-01-01T00:00:00Z",
            "businessActivity": lambda: ... if "feedbacks" in call[1] else real["businessActivity"](),
            "category": lambda: ... if "feedbacks" in call[1] else real["category"](),
            **self._partner(call),
        }

    def _partner(self, call: tuple[str, str]) -> Mapping[str, Callable[[], Any]]:
        """Whoever is none of one's own: reports are delegated to partners, and nobody is a partner of itself."""
        if call[1].endswith("/delegates"):
            return {"organization": lambda: self.at.of.partner.id}
        if call[1].endswith("/relationships"):
            return {"organization": lambda: self.known.one("organization") or ...}
        return {}

    # After it

    def after(self, case: Drawn, response: Response) -> None:
        if not 200 <= response.status_code < 300:
            return
        if case.method.upper() == "DELETE":
            self.known.forget(_texts(case.path_parameters))
        elif "json" in response.headers.get("content-type", [""])[0] and case.path != "/event-types":
            self.known.read(response.json(), case.path, _texts(case.path_parameters))


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(one) for name, one in values.items()}


def _negative(case: Drawn, where: ParameterLocation) -> bool:
    info = None if case.meta is None else case.meta.components.get(where)
    return info is not None and info.mode is GenerationMode.NEGATIVE


def _leads_out(url: str) -> bool:
    try:
        return urlsplit(url).hostname not in {"127.0.0.1", None}
    except ValueError:
        return False
