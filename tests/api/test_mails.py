"""Who is told of what by mail, and that a mail arrives once, or again, or is given up where everybody sees it."""

import asyncio
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import structlog
import trustme
from sqlalchemy import select

from tests.api.client import INSIDE, City, city, person
from tests.api.test_access import member
from tests.conftest import ManualClock, Service, both_engines, serving
from tests.postbox import mailbox, post, text, to
from tests.receiver import receiver
from tocsin.clock import SECOND
from tocsin.domain.mails import Notice
from tocsin.service.mails import CLAIM_SECONDS, Mails
from tocsin.storage.interface import Reading
from tocsin.storage.mails import Addressee
from tocsin.storage.schema import mails, notices

pytestmark = [pytest.mark.anyio, both_engines]

ADA = "ada@example.org"


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


async def feedback(bordeaux: City, email: str = "eve@example.org") -> str:
    """Posted by somebody else than the admin, whose id is returned."""
    reporter = await person(bordeaux.admin.http, email)
    await reporter.post("/feedbacks/issues", {"geo": INSIDE, "description": "Bcc: x@example.org"})
    return reporter.id


@asynccontextmanager
async def mailing(
    directory: Path, url: str, clock: ManualClock, settings: dict[str, str], **more: str
) -> AsyncIterator[tuple[Service, City]]:
    """A service that mails by SMTP, and a city."""
    given = {"TOCSIN_SMTP_URL": url, "TOCSIN_MAIL_FROM": "Tocsin <tocsin@example.org>", **settings, **more}
    async with serving(directory, clock, **given) as service:
        yield service, await city(await person(service.http))


async def ask_and_turn(service: Service, email: str = ADA) -> None:
    """One mail comes to be, and is tried once."""
    await service.http.post("/security/password/change-request", json={"email": email})
    await service.use_cases.mails.turn()


def counted(metrics: str) -> dict[str, float]:
    lines = [line for line in metrics.splitlines() if line.startswith("tocsin_mails")]
    return {name: float(number) for name, number in (line.rsplit(" ", 1) for line in lines)}


# Who is told


async def test_admins_are_told_of_a_report_unless_they_made_it_or_want_no_mails(
    service: Service, bordeaux: City
) -> None:
    await member(bordeaux, "second@example.org", "ADMIN")
    silent, _ = await member(bordeaux, "silent@example.org", "ADMIN")
    await member(bordeaux, "plain@example.org", "OPERATOR")
    await silent.patch(f"/people/{silent.id}", {"preferences.messageEmailEnabled": False})
    report = await bordeaux.report()
    (mail,) = await post(service)
    assert (mail["To"], mail["Subject"]) == ("second@example.org", "Nouveau signalement pour Bordeaux")
    assert f"{service.url}/reports/{report['id']}\n" in text(mail)
    assert mail["Auto-Submitted"] == "auto-generated"
    await feedback(bordeaux)
    assert sorted(one["To"] for one in await post(service)) == [ADA, "second@example.org", "second@example.org"]


async def test_the_address_that_an_organization_named_is_told_instead(service: Service, bordeaux: City) -> None:
    path = f"/organizations/{bordeaux.id}"
    await bordeaux.admin.patch(path, {"notificationEmailAddress": "reports@bordeaux.example.org"})
    await bordeaux.report()
    assert [mail["To"] for mail in await post(service)] == ["reports@bordeaux.example.org"]
    await bordeaux.admin.patch(path, {"notificationEmailAddress": ADA.upper()})
    await bordeaux.report()
    assert len(await post(service)) == 1


async def test_a_partner_is_told_of_a_report_delegated_to_it(service: Service, bordeaux: City) -> None:
    lyon = await city(await person(service.http, "bob@example.org"), "Lyon\r\nBcc: eve@example.org")
    await bordeaux.admin.post(f"/organizations/{bordeaux.id}/relationships", {"organization": lyon.id})
    report = await bordeaux.report()
    before = await to(service, "bob@example.org")
    body = {"report": report["id"], "organization": lyon.id}
    await bordeaux.admin.post(f"/organizations/{bordeaux.id}/delegates", body)
    told = await to(service, "bob@example.org")
    assert len(told) == len(before) + 1
    (mail,) = [one for one in told if one["Subject"] == "Signalement délégué à Lyon Bcc: eve@example.org"]
    assert mail["Bcc"] is None
    assert "Bordeaux a délégué un signalement" in text(mail)


async def test_an_operator_is_told_of_an_operation_once(service: Service, bordeaux: City) -> None:
    _, member_id = await member(bordeaux, "operator@example.org", "OPERATOR")
    operation = await bordeaux.operation(await bordeaux.report())
    path = f"/operations/{operation['id']}/assign"
    for one in (bordeaux.member_id, member_id, member_id):
        await bordeaux.admin.post(path, {"member": one})
    (mail,) = await post(service)
    assert (mail["To"], mail["Subject"]) == ("operator@example.org", "Une opération vous est confiée")
    assert f"{service.url}/operations/{operation['id']}\n" in text(mail)


async def test_admins_are_told_when_the_service_disables_webhooks(working: Service) -> None:
    bordeaux = await city(await person(working.http))
    assert working.settings.mail_directory is not None
    async with receiver(lambda _: 410) as there:
        webhooks = [await bordeaux.webhook("reportCreated", f"{there.url}/secret?key=1") for _ in range(2)]
        await bordeaux.report()
        async with asyncio.timeout(20):
            while not list(working.settings.mail_directory.glob("*.eml")):  # noqa: ASYNC110 # of a folder
                await asyncio.sleep(0.02)
    (mail,) = await post(working)
    assert (mail["To"], mail["Subject"]) == (ADA, "Webhook désactivé de Bordeaux")
    assert f"notifient {there.url.removeprefix('http://')} ont" in text(mail)
    assert "410" in text(mail)
    assert "secret" not in text(mail)
    assert any(webhook["id"] in text(mail) for webhook in webhooks)


# How it leaves


async def test_a_folders_mails_are_for_their_owner_only(service: Service, bordeaux: City) -> None:
    await feedback(bordeaux)
    assert len(await post(service)) == 1
    directory = service.settings.mail_directory
    assert directory is not None
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()] == [0o600]


async def test_what_waits_is_sealed(service: Service, bordeaux: City, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing(*_: object) -> None:
        pass

    with monkeypatch.context() as waiting:
        waiting.setattr(Mails, "_send_all", nothing)
        await ask_and_turn(service)
    async with service.use_cases.context.storage.read() as tx:
        (row,) = await tx.rows(select(mails))
        assert await tx.rows(select(notices)) == []
    assert row["person_id"] == bordeaux.admin.id
    assert b"password" not in bytes(row["content"])
    assert ADA.encode() not in bytes(row["content"])


@pytest.fixture
def certified(tmp_path: Path) -> tuple[ssl.SSLContext, str]:
    """A server's TLS, and the file of who certified it."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return context, str(tmp_path / "ca.pem")


@pytest.mark.parametrize("implicit", [True, False])
async def test_by_smtp_with_tls_and_a_password(
    tmp_path: Path,
    clock: ManualClock,
    settings_of_engine: dict[str, str],
    certified: tuple[ssl.SSLContext, str],
    implicit: bool,
) -> None:
    context, file = certified
    async with mailbox(context, implicit=implicit) as there:
        scheme, option = ("smtps", "") if implicit else ("smtp", "?starttls")
        url = f"{scheme}://me%40x:s3cret%2F%40@localhost:{there.port}{option}"
        async with mailing(tmp_path, url, clock, settings_of_engine, TOCSIN_CA_FILE=file) as (service, _):
            await ask_and_turn(service)
        (mail,) = there.received
        assert (mail["To"], mail["From"]) == (ADA, "Tocsin <tocsin@example.org>")
        assert mail["Message-ID"].endswith("@example.org>")
        assert there.users == [(b"me@x", b"s3cret/@")]
        assert there.encrypted == [not implicit], "STARTTLS came, where TLS was not there from the beginning"
        (tmp_path / "other").mkdir()
        database = f"sqlite:///{tmp_path}/other/tocsin.db"
        async with mailing(tmp_path / "other", url, clock, {"TOCSIN_DATABASE_URL": database}) as (service, _):
            await ask_and_turn(service)
            metrics = (await service.http.get("/metrics")).text
        assert len(there.received) == 1, "a certificate that nobody vouches for was taken"
        assert counted(metrics) == {'tocsin_mails_total{outcome="refused"}': 1, "tocsin_mails_waiting": 1}


async def test_a_server_that_is_down_delays_nobody_and_is_tried_for_three_days(
    tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]
) -> None:
    async with mailbox() as there:
        port = there.port
    async with mailing(tmp_path, f"smtp://127.0.0.1:{port}", clock, settings_of_engine) as (service, bordeaux):
        began, tries = clock.now(), 0
        with structlog.testing.capture_logs() as logs:
            await feedback(bordeaux)
            while not [one for one in logs if one["event"] == "mail_given_up"]:
                assert await service.use_cases.mails.turn()
                tries += 1
                clock.advance(4 * 3600)
        assert 10 < tries < 30
        assert (clock.now() - began) / SECOND == pytest.approx(3 * 86_400, abs=8 * 3600)
        given_up = logs[-1]
        assert (given_up["kind"], given_up["log_level"]) == ("reportCreated", "error")
        assert ADA not in str(logs)
        assert "reports/" not in str(logs)
        metrics = (await service.http.get("/metrics")).text
        expected = {'outcome="given_up"': 1, 'outcome="refused"': tries - 1}
        totals = {f"tocsin_mails_total{{{name}}}": number for name, number in expected.items()}
        assert counted(metrics) == {**totals, "tocsin_mails_waiting": 0}


async def test_a_mail_that_is_refused_for_now_comes_later_and_one_for_good_never(
    tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]
) -> None:
    async with mailbox() as there:
        answers = {ADA: "450 later", "gone@example.org": "550 nobody of that name"}
        there.answer = answers.get
        async with mailing(tmp_path, f"smtp://127.0.0.1:{there.port}", clock, settings_of_engine) as (service, _):
            await person(service.http, "gone@example.org")
            for email in answers:
                await ask_and_turn(service, email)
            del answers[ADA]
            assert not await service.use_cases.mails.turn()
            clock.advance(30)
            assert await service.use_cases.mails.turn()
            clock.advance(1000)
            assert not await service.use_cases.mails.turn()
        assert [mail["To"] for mail in there.received] == [ADA]
        assert there.asked == [ADA, "gone@example.org", ADA]


async def test_a_link_that_is_over_is_not_mailed(
    tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]
) -> None:
    async with mailbox() as there:
        there.answer = lambda _: "450 later"
        async with mailing(tmp_path, f"smtp://127.0.0.1:{there.port}", clock, settings_of_engine) as (service, _):
            with structlog.testing.capture_logs() as logs:
                await ask_and_turn(service)
                for _ in range(10):
                    clock.advance(900)
                    await service.use_cases.mails.turn()
        assert [one["event"] for one in logs].count("mail_given_up") == 1
        assert len(there.asked) < 5


async def test_who_dies_while_sending_sends_again_under_the_same_id(
    tmp_path: Path, clock: ManualClock, settings_of_engine: dict[str, str]
) -> None:
    class Killed(BaseException):
        pass

    async with (
        mailbox() as there,
        mailing(tmp_path, f"smtp://127.0.0.1:{there.port}", clock, settings_of_engine) as (service, _),
    ):
        working = service.use_cases.mails
        sent = working._send

        async def dies(one: object) -> None:
            await sent(one)  # type: ignore[arg-type] # passed on
            raise Killed

        working._send = dies  # type: ignore[method-assign] # as if the process ended after the server's 250
        with pytest.raises(Killed):
            await ask_and_turn(service)
        working._send = sent  # type: ignore[method-assign] # as it was
        clock.advance(CLAIM_SECONDS - 1)
        assert not await working.turn()
        clock.advance(1)
        assert await working.turn()
        first, second = there.received
        assert first["Message-ID"] == second["Message-ID"]
        assert text(first) == text(second)
        assert not await working.turn()


async def test_of_several_nodes_one_sends_a_mail(service: Service, bordeaux: City) -> None:
    use_cases = service.use_cases
    transport = _Counting()
    metrics = use_cases.watch.metrics
    nodes = [Mails(use_cases.context, use_cases.authentication, metrics, transport, "t@example.org") for _ in range(4)]
    for number in range(12):
        await feedback(bordeaux, f"{number}@example.org")
    for _ in range(3):
        await asyncio.gather(*(node.turn() for node in nodes))
    assert len(transport.ids) == len(set(transport.ids)) == 12


class _Counting:
    def __init__(self) -> None:
        self.ids: list[str] = []

    async def send(self, message: object) -> None:
        self.ids.append(message["Message-ID"])  # type: ignore[index] # an EmailMessage
        await asyncio.sleep(0)


async def test_a_notice_that_cannot_be_told_keeps_no_other_from_it(
    service: Service, bordeaux: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    addressees = Mails._addressees
    first = await feedback(bordeaux)
    await feedback(bordeaux, "second@example.org")

    async def fails(self: Mails, tx: Reading, notice: Notice) -> list[Addressee]:
        if notice.actor_id == first:
            raise RuntimeError("this one can't be told")
        return await addressees(self, tx, notice)

    with monkeypatch.context() as broken:
        broken.setattr(Mails, "_addressees", fails)
        await service.use_cases.mails.turn()
        assert service.settings.mail_directory is not None
        assert len(list(service.settings.mail_directory.glob("*.eml"))) == 1
    assert len(await post(service)) == 2
