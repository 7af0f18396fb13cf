"""The commands, as processes."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import httpx
import pytest

from tests.api.client import INSIDE, PASSWORD, SQUARE
from tests.processes import Installation
from tests.receiver import receiver
from tocsin.cli.servers import listen

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
STOP_SECONDS_MAX = 10.0


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    made = Installation(tmp_path)
    yield made
    made.kill()


async def test_serve_with_no_settings_works_and_ends_cleanly(installation: Installation) -> None:
    serving = await installation.serve()
    async with httpx.AsyncClient(base_url=installation.url) as http:
        root = (await http.get("/")).json()
        assert root["_links"]["organizations"]["href"] == f"{installation.url}/organizations"
        assert (await http.get("/health/live")).text == "alive\n"
    code, seconds = await installation.stop(serving)
    assert code == 0
    assert seconds < STOP_SECONDS_MAX
    assert f"tocsin serves {installation.url}/" in (installation.directory / "serve.log").read_text()
    left = {path.name for path in installation.directory.iterdir()}
    assert left == {"tocsin.db", "tocsin.db-key", "serve.log"}


async def test_a_stopping_service_gives_back_what_a_hanging_receiver_holds(installation: Installation) -> None:
    serving = await installation.serve()
    made = installation.organization()
    headers = {"Authorization": f"Bearer {made['token']}"}
    async with receiver(lambda _: None) as there, httpx.AsyncClient(base_url=installation.url, timeout=30) as http:
        path = f"/organizations/{made['organization']}"
        await http.post(f"{path}/places", json={"name": "x", "polygon": SQUARE}, headers=headers)
        webhook = {"event": "reportCreated", "payloadUrl": there.url}
        (await http.post(f"{path}/webhooks", json=webhook, headers=headers)).raise_for_status()
        await http.post("/security/register", json={"email": "ada@example.org", "password": PASSWORD})
        login = await http.post("/security/login", json={"login": "ada@example.org", "password": PASSWORD})
        person = {"Authorization": f"Bearer {login.json()['accessToken']}"}
        (await http.post("/feedbacks/issues", json={"geo": INSIDE}, headers=person)).raise_for_status()
        await there.wait_for(1)
        code, seconds = await installation.stop(serving)
        assert (code, seconds < STOP_SECONDS_MAX) == (0, True)
        there.answer = lambda _: 200
        worker = installation.start("worker")
        await there.wait_for(2, 10)
        assert (await installation.stop(worker))[0] == 0


def test_the_operator_manages_webhooks_at_the_command_line(installation: Installation) -> None:
    made = installation.organization()
    assert made["passwordLink"].startswith(f"{installation.url}/security/password/change/")
    arguments = ("--organization", made["organization"], "--event", "reportCreated", "--url", "https://example.org/")
    created = json.loads(installation.command("webhook", "create", *arguments, "--json").stdout)
    assert created["secret"].startswith("whsec_")
    changed = json.loads(installation.command("webhook", "disable", created["webhook"], "--json").stdout)
    assert changed == {"webhook": created["webhook"], "enabled": False}
    (listed,) = json.loads(
        installation.command("webhook", "list", "--organization", made["organization"], "--json").stdout
    )
    assert (listed["id"], listed["enabled"]) == (created["webhook"], False)
    installation.command("webhook", "enable", created["webhook"], "--resume", "skip")
    assert "enabled" in installation.command("webhook", "list", "--organization", made["organization"]).stdout


async def test_the_operator_sees_explains_and_repeats_deliveries(installation: Installation) -> None:
    await installation.serve()
    made = installation.organization()

    async def run(*arguments: str) -> str:
        return (await asyncio.to_thread(installation.command, *arguments)).stdout

    async with receiver() as there:
        arguments = ("--organization", made["organization"], "--event", "reportCreated", "--url", there.url)
        created = json.loads(await run("webhook", "create", *arguments, "--json"))
        webhook = created["webhook"]
        await file_reports(installation, made, 3)
        received = list(await there.wait_for(3))
        event = received[1].headers["webhook-id"]
        async with asyncio.timeout(20):
            while json.loads(await run("webhook", "status", webhook, "--json"))["pending"]:
                pass
        assert "active" in await run("webhook", "status", webhook)
        listed = json.loads(await run("webhook", "deliveries", webhook, "--state", "delivered", "--json"))
        assert [one["sequence"] for one in listed] == [3, 2, 1]
        assert event in await run("webhook", "deliveries", webhook, "--limit", "2")
        (attempt,) = json.loads(await run("webhook", "attempts", webhook, "2", "--json"))
        assert attempt["statusCode"] == 200
        assert "attempt 1 at" in await run("webhook", "attempts", webhook, "2")
        explained = await run("explain", event)
        assert f"webhook {webhook} -> {there.url}: delivered" in explained
        assert "curl -sS -i -X POST" in explained
        (one,) = json.loads(await run("explain", event, "--webhook", webhook, "--json"))["_embedded"]["webhooks"]
        assert one["next"] == "Nothing: it is done."
        await run("webhook", "redeliver", webhook, "2")
        assert (await there.wait_for(4))[3].headers["webhook-id"] == event
        counted = json.loads(await run("webhook", "replay", webhook, "--from", "2", "--dry-run", "--json"))
        assert counted["total"] == 2
        replayed = json.loads(await run("webhook", "replay", webhook, "--from", "2", "--wait", "--json"))
        assert (replayed["state"], replayed["done"]) == ("done", 2)
        assert [one.headers["tocsin-sequence"] for one in there.received[4:]] == ["2", "3"]
        assert f"{replayed['id']}" in await run("webhook", "replays", webhook)
        await run("webhook", "stop-replay", webhook, replayed["id"])
        rotated = json.loads(await run("webhook", "secret", webhook, "--overlap", "60", "--json"))
        assert rotated["secret"] != created["secret"]
        await run("webhook", "remove", webhook)
        assert await run("webhook", "list", "--organization", made["organization"]) == ""


async def file_reports(installation: Installation, made: dict[str, str], count: int) -> None:
    headers = {"Authorization": f"Bearer {made['token']}"}
    async with httpx.AsyncClient(base_url=installation.url, timeout=30) as http:
        path = f"/organizations/{made['organization']}/places"
        await http.post(path, json={"name": "x", "polygon": SQUARE}, headers=headers)
        await http.post("/security/register", json={"email": "ada@example.org", "password": PASSWORD})
        login = await http.post("/security/login", json={"login": "ada@example.org", "password": PASSWORD})
        person = {"Authorization": f"Bearer {login.json()['accessToken']}"}
        for _ in range(count):
            (await http.post("/feedbacks/issues", json={"geo": INSIDE}, headers=person)).raise_for_status()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("explain", "nothing"), 1, "There is no such event."),
        (("webhook", "replay", "x", "--from", "yesterday"), 1, "--from"),
        (("webhook", "disable", "nothing"), 1, "There is no such webhook."),
        (("organization", "create", "X", "--admin-email", "x"), 1, "--admin-email"),
        (("webhook", "enable", "x", "--resume", "perhaps"), 2, "continue or skip"),
        (("worker",), 2, "run tocsin migrate"),
        (("nonsense",), 2, "No such command"),
    ],
)
def test_a_refusal_has_its_exit_code_and_reason(
    installation: Installation, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ended = installation.command(*arguments, check=False)
    assert ended.returncode == code
    assert said in ended.stderr


def test_a_wrong_setting_is_refused_at_start(installation: Installation) -> None:
    installation.more["TOCSIN_WORKER_CONCURRENCY"] = "0"
    ended = installation.command("serve", check=False)
    assert ended.returncode == 2
    assert ended.stderr.strip() == "TOCSIN_WORKER_CONCURRENCY must be a whole number from 1 to 20000"


def test_another_key_does_not_open_the_database(installation: Installation) -> None:
    installation.organization()
    (installation.directory / "tocsin.db-key").unlink()
    ended = installation.command("webhook", "list", "--organization", "x", check=False)
    assert ended.returncode == 1
    assert "TOCSIN_SECRET_KEY does not open what is stored" in ended.stderr


async def test_the_demo_prints_a_plain_line_for_each_verified_notification(installation: Installation) -> None:
    ended = await asyncio.to_thread(installation.command, "demo", "--reports", "1", "--pace", "0")
    lines = ended.stdout.splitlines()
    pattern = re.compile(r"\S+\+00:00 (report|operation)\w+ (Report|Operation)/[0-9a-f-]{36} verified \d+ms")
    assert len(lines) == 8
    assert all(pattern.fullmatch(line) for line in lines), ended.stdout
    assert list(installation.directory.iterdir()) == []


def said(log: Path, word: str) -> None:
    """Wait until a process has said something."""
    give_up_at = time.monotonic() + 30
    while word not in log.read_text():
        assert time.monotonic() < give_up_at
        Event().wait(0.02)


async def test_the_demo_ends_on_ctrl_c_and_keeps_its_database_if_asked(installation: Installation) -> None:
    process = installation.start("demo", "--keep", "kept.db")
    await asyncio.to_thread(said, installation.directory / "demo.log", "token")
    process.send_signal(signal.SIGINT)
    assert await asyncio.to_thread(process.wait, 15) == 0
    assert (installation.directory / "kept.db").exists()


def test_commands_do_not_load_the_api_that_they_do_not_serve() -> None:
    code = "import sys, tocsin.cli; print([name for name in ('fastapi', 'tocsin.api', 'httpx') if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert said == "[]\n"


def test_no_answer_waits_for_more_to_be_sent_with_it() -> None:
    with listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_bare_make_lists_its_targets() -> None:
    said = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for target in ("demo", "serve", "test", "check", "bench"):
        assert f"make {target} " in said


async def test_a_person_is_erased_by_the_operator(installation: Installation) -> None:
    made = installation.organization()
    refused = installation.command("person", "erase", "admin@example.org", "--yes", check=False)
    assert refused.returncode == 1
    assert f"Bordeaux ({made['organization']})" in refused.stderr
    unsure = installation.command("person", "erase", "admin@example.org", check=False)
    assert unsure.returncode == 1
    await installation.serve("--no-worker")
    async with httpx.AsyncClient(base_url=installation.url) as http:
        body = {"email": "ada@example.org", "password": PASSWORD}
        ada = (await http.post("/security/register", json=body)).json()
        erased = installation.command("person", "erase", "ADA@example.org", "--yes", "--json")
        told = json.loads(erased.stdout)
        assert (told["person"], told["events"]) == (ada["id"], 0)
        assert (
            await http.post("/security/login", json={"login": body["email"], "password": PASSWORD})
        ).status_code == 401
