"""What tests of the API say often, said once: people, organizations, reports through real HTTP."""

from dataclasses import dataclass
from typing import Any

import httpx

SQUARE = {
    "rings": [
        {
            "points": [
                {"longitude": longitude, "latitude": latitude}
                for longitude, latitude in ((-1.0, 44.0), (0.0, 44.0), (0.0, 45.0), (-1.0, 45.0), (-1.0, 44.0))
            ]
        }
    ],
    "srid": 4326,
}
INSIDE = {"point": {"latitude": 44.5, "longitude": -0.5}}
OUTSIDE = {"point": {"latitude": 10.0, "longitude": 10.0}}
PASSWORD = "correct horse"


@dataclass
class Person:
    """Somebody who is logged in."""

    http: httpx.AsyncClient
    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        if body is not None:
            more["json"] = body
        return await self.http.request(method, path, headers=self.headers, **more)

    async def get(self, path: str) -> Any:
        return await self._ok("GET", path)

    async def post(self, path: str, body: Any = None) -> Any:
        return await self._ok("POST", path, body)

    async def patch(self, path: str, body: Any) -> Any:
        return await self._ok("PATCH", path, body)

    async def delete(self, path: str) -> None:
        await self._ok("DELETE", path)

    async def _ok(self, method: str, path: str, body: Any = None) -> Any:
        response = await self.call(method, path, body)
        assert response.is_success, f"{method} {path}: {response.status_code} {response.text}"
        return response.json() if response.content else None


@dataclass
class City:
    """An organization with a place, and its admin."""

    admin: Person
    id: str
    member_id: str

    async def report(self) -> Any:
        """A new report, from feedback of the admin's own."""
        feedback = await self.admin.post("/feedbacks/issues", {"geo": INSIDE, "description": "The lamp is broken"})
        page = await self.admin.get(f"/organizations/{self.id}/reports?limit=100")
        link = feedback["_links"]["self"]
        return next(one for one in page["_embedded"]["items"] if one["_links"]["feedback"] == link)

    async def move(self, report: Any, *transitions: str) -> Any:
        for transition in transitions:
            path = f"/reports/{report['id']}/workflow/transition"
            report = await self.admin.post(path, {"transition": transition})
        return report

    async def operation(self, report: Any) -> Any:
        return await self.admin.post("/operations", {"report": report["id"], "name": "Change the bulb"})

    async def webhook(self, event: str, url: str, **more: Any) -> Any:
        body = {"event": event, "organization": self.id, "payloadUrl": url, **more}
        return await self.admin.post("/webhooks", body)


async def person(http: httpx.AsyncClient, email: str = "ada@example.org") -> Person:
    """Register, as somebody who is written to in French, and log in."""
    account = {"email": email, "password": PASSWORD}
    registered = await http.post("/security/register", json=account, headers={"Accept-Language": "fr-FR"})
    assert registered.status_code == 201, registered.text
    login = await http.post("/security/login", json={"login": email, "password": PASSWORD})
    assert login.status_code == 200, login.text
    return Person(http, registered.json()["id"], login.json()["accessToken"])


async def city(admin: Person, name: str = "Bordeaux", polygon: Any = SQUARE) -> City:
    """An organization with one place."""
    organization = await admin.post("/organizations", {"name": name})
    members = await admin.get(f"/organizations/{organization['id']}/members")
    await admin.post(f"/organizations/{organization['id']}/places", {"name": "Centre", "polygon": polygon})
    return City(admin, organization["id"], members["_embedded"]["items"][0]["id"])
