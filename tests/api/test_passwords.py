"""A forgotten password: a link by mail, which gives nothing away, works once, and ends what was logged in."""

import base64
import hashlib
import re
import statistics
import time
from email.message import EmailMessage

import pytest

from tests.api.client import PASSWORD, person
from tests.conftest import ManualClock, Service, both_engines
from tests.postbox import post, text, to

pytestmark = [pytest.mark.anyio, both_engines]

REQUEST = "/security/password/change-request"
ADA = "ada@example.org"


def link(service: Service, mail: EmailMessage) -> str:
    """The path of the link in a mail."""
    found = re.search(rf"^{re.escape(service.url)}(/security/password/change/\S+)$", text(mail), re.MULTILINE)
    assert found is not None
    return found[1]


async def ask(service: Service, email: str = ADA) -> None:
    answer = await service.http.post(REQUEST, json={"email": email})
    assert (answer.status_code, answer.content) == (204, b"")


async def login(service: Service, password: str) -> int:
    return (await service.http.post("/security/login", json={"login": ADA, "password": password})).status_code


async def test_a_link_sets_a_password_once_and_ends_sessions(service: Service, clock: ManualClock) -> None:
    ada = await person(service.http)
    clock.advance(1)
    await ask(service, "ADA@example.org")
    (mail,) = await post(service)
    assert (mail["To"], mail["From"], mail["Subject"]) == (ADA, "tocsin@localhost", "Changer votre mot de passe")
    path = link(service, mail)
    short = await service.http.post(path, json={"password": "short"})
    assert short.status_code == 400
    answers = [await service.http.post(path, json={"password": "a new password"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [204, 404]
    assert (await ada.call("GET", f"/people/{ada.id}")).status_code == 401
    assert (await login(service, PASSWORD), await login(service, "a new password")) == (401, 200)
    (notice,) = [one for one in await post(service) if one["Subject"] == "Votre mot de passe a été changé"]
    assert notice["To"] == ADA
    assert "/security/" not in text(notice)


async def test_nobody_learns_whether_an_address_is_known(service: Service) -> None:
    await person(service.http)
    took: dict[str, list[float]] = {ADA: [], "nobody@example.org": []}
    for _ in range(20):
        for email, times in took.items():
            began = time.perf_counter()
            await ask(service, email)
            times.append(time.perf_counter() - began)
    medians = [statistics.median(times) for times in took.values()]
    assert max(medians) < 3 * min(medians)
    assert {mail["To"] for mail in await post(service)} == {ADA}


async def test_a_link_works_for_an_hour_and_an_account_gets_few(service: Service, clock: ManualClock) -> None:
    await person(service.http)
    for _ in range(5):
        await ask(service)
    mails = await post(service)
    assert len(mails) == 3
    clock.advance(3599)
    assert (await service.http.post(link(service, mails[0]), json={"password": "short"})).status_code == 400
    await ask(service)
    assert len(await post(service)) == 3
    clock.advance(1)
    for mail in mails:
        assert (await service.http.post(link(service, mail), json={"password": PASSWORD})).status_code == 404
    await ask(service)
    assert len(await post(service)) == 4


async def test_mails_are_in_the_language_of_the_registration(service: Service) -> None:
    for number, (header, subject) in enumerate(
        (
            ("en-US", "Change your password"),
            ("de, en;q=0.5, fr;q=0.4", "Change your password"),
            ("fr-FR", "Changer votre mot de passe"),
            ("de", "Changer votre mot de passe"),
        )
    ):
        body = {"email": f"{number}@example.org", "password": PASSWORD}
        made = await service.http.post("/security/register", json=body, headers={"Accept-Language": header})
        assert made.status_code == 201
        await ask(service, body["email"])
        (mail,) = await to(service, body["email"])
        assert (mail["Subject"], mail["Content-Language"]) == (subject, "en-US" if "Change " in subject else "fr-FR")


async def test_a_password_mail_comes_whatever_the_preferences_are(service: Service) -> None:
    ada = await person(service.http)
    await ada.patch(f"/people/{ada.id}", {"preferences": {"messageEmailEnabled": False}})
    await ask(service)
    assert len(await post(service)) == 1


@pytest.mark.parametrize(
    "body", [{}, {"email": None}, {"email": "x"}, {"email": "a@example.org\r\nBcc: b@example.org"}]
)
async def test_what_is_no_address_is_refused_by_its_path(service: Service, body: dict[str, str | None]) -> None:
    answer = await service.http.post(REQUEST, json=body)
    assert (answer.status_code, answer.json()["_embedded"]["errors"][0]["path"]) == (400, "email")


async def test_the_link_leads_to_a_page_that_uses_nothing_up(service: Service) -> None:
    await person(service.http)
    await ask(service)
    (mail,) = await post(service)
    path = link(service, mail)
    page = await service.http.get(path, headers={"Accept-Language": "en"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>New password</h1>" in page.text
    policy = page.headers["content-security-policy"]
    for tag in ("style", "script"):
        content = re.search(rf"<{tag}>(.*?)</{tag}>", page.text, re.DOTALL)
        assert content is not None
        digest = base64.b64encode(hashlib.sha256(content[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "//" not in page.text
    assert (page.headers["referrer-policy"], page.headers["cache-control"]) == ("no-referrer", "no-store")
    french = await service.http.get(path, headers={"Accept-Language": "fr-FR"})
    assert "Nouveau mot de passe" in french.text
    assert (await service.http.post(path, json={"password": "a new password"})).status_code == 204
