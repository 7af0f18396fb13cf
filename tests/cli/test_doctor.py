"""`tocsin doctor`: what it finds in real installations, on both engines; and that it leaves them as they are."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.client import city, person
from tests.conftest import KEY, Service, both_engines, serving, settings_in
from tests.postgres import Cluster, cluster, database, execute, make_template
from tests.processes import Installation
from tests.receiver import receiver
from tocsin import app
from tocsin.domain.diagnosis import Finding, Severity
from tocsin.settings import Settings
from tocsin.storage.migrate import migrate

pytestmark = pytest.mark.anyio

OTHER_KEY = "YW5vdGhlciBrZXkgb2YgdGVzdHMsIDMyIGJ5dGVzLi4="


async def examine(settings: Settings) -> dict[str, list[Finding]]:
    """What is found, by check."""
    found: dict[str, list[Finding]] = {}
    async with app.open_diagnosis(settings) as diagnosis:
        for one in await diagnosis.run():
            found.setdefault(one.check, []).append(one)
    return found


def severities(found: dict[str, list[Finding]]) -> dict[str, set[Severity]]:
    return {check: {one.severity for one in ones} for check, ones in found.items()}


def fingerprints(directory: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}


@both_engines
async def test_a_working_installation_is_well(working: Service, engine: str) -> None:
    bordeaux = await city(await person(working.http))
    async with receiver() as there:
        await bordeaux.webhook("reportCreated", there.url)
        await bordeaux.report()
        await there.wait_for(1)
        await working.use_cases.housekeeping.tidy()
        found = await examine(working.settings.model_copy(update={"public_url": "https://127.0.0.9"}))
    assert set(found) >= {
        "sqlite": {"database", "durability", "access", "migrations", "key", "key file", "disk", "names"},
        "postgresql": {
            "database",
            "durability",
            "standby",
            "clock",
            "partitions",
            "migrations",
            "key",
            "disk",
            "names",
        },
    }[engine] | {"time", "housekeeping", "endpoints", "webhooks", "worker", "public URL"}
    assert [one for ones in found.values() for one in ones if one.severity is not Severity.WELL] == []


@both_engines
async def test_endpoints_in_trouble_are_named(working: Service, engine: str) -> None:  # noqa: ARG001 # of the fixture
    bordeaux = await city(await person(working.http))
    async with receiver(lambda one: 410 if one.path == "/gone" else 500) as there:
        gone = await bordeaux.webhook("reportCreated", f"{there.url}/gone")
        await bordeaux.webhook("reportCreated", f"{there.url}/failing")
        await bordeaux.report()
        await there.wait_for(2)
        while (await bordeaux.admin.get(f"/webhooks/{gone['id']}"))["enabled"]:
            pass
        while not (failing := (await examine(working.settings))["endpoints"][0]).advice:
            pass
        (disabled,) = (await examine(working.settings))["webhooks"]
    assert (failing.severity, "1 failing" in failing.found, "/failing" in failing.found) == (
        Severity.WARNING,
        True,
        True,
    )
    assert (disabled.severity, gone["id"] in disabled.found) == (Severity.WARNING, True)


async def test_without_a_worker_events_wait_and_it_says_so(service: Service) -> None:
    bordeaux = await city(await person(service.http))
    await bordeaux.webhook("reportCreated", "http://127.0.0.1:9009/")
    await bordeaux.report()
    found = await examine(service.settings)
    assert (found["worker"][0].severity, found["housekeeping"][0].severity) == (Severity.WARNING, Severity.WARNING)


async def test_what_is_examined_stays_as_it_is(tmp_path: Path) -> None:
    async with serving(tmp_path) as service:
        await city(await person(service.http))
    before = fingerprints(tmp_path)
    assert "worker" in await examine(service.settings)
    assert fingerprints(tmp_path) == before


async def test_another_key_or_none_is_severe_and_none_is_made(service: Service, tmp_path: Path) -> None:
    wrong = await examine(service.settings.model_copy(update={"secret_key": OTHER_KEY}))
    assert (wrong["key"][0].severity, "does not open" in wrong["key"][0].found) == (Severity.SEVERE, True)
    (tmp_path / "tocsin.db-key").unlink()
    assert severities(await examine(service.settings))["key"] == {Severity.SEVERE}
    assert not (tmp_path / "tocsin.db-key").exists()


async def test_a_key_that_others_can_read_is_severe(service: Service, tmp_path: Path) -> None:
    (tmp_path / "tocsin.db-key").chmod(0o644)
    assert severities(await examine(service.settings))["key file"] == {Severity.SEVERE}


async def test_a_database_that_lacks_migrations_is_a_finding_and_stays_so(tmp_path: Path, postgres: Cluster) -> None:
    (tmp_path / "tocsin.db").touch()
    found = await examine(settings_in(tmp_path))
    assert (found["migrations"][0].severity, "key" in found) == (Severity.SEVERE, False)
    assert (tmp_path / "tocsin.db").stat().st_size == 0
    execute(postgres.url("postgres"), "CREATE DATABASE empty")
    url = postgres.url("empty")
    found = await examine(settings_in(tmp_path, TOCSIN_DATABASE_URL=url, TOCSIN_SECRET_KEY=KEY))
    assert found["migrations"][0].severity is Severity.SEVERE


@pytest.mark.parametrize(
    ("name", "content"), [("garbage.db", b"no database, but long enough to be read as one" * 20), ("nothing.db", None)]
)
async def test_a_file_that_is_no_database_is_a_finding(tmp_path: Path, name: str, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    before = fingerprints(tmp_path)
    found = await examine(settings_in(tmp_path, TOCSIN_DATABASE_URL=f"sqlite:///{tmp_path}/{name}"))
    assert severities(found)["database"] == {Severity.SEVERE}
    assert fingerprints(tmp_path) == before


async def test_a_database_that_lets_nobody_in_is_a_finding(tmp_path: Path, postgres: Cluster) -> None:
    for url in (
        postgres.url("no_such_database"),
        "postgresql://x@127.0.0.1:1/x",
        postgres.url("x").replace("//t", "//n"),
    ):
        found = await examine(settings_in(tmp_path, TOCSIN_DATABASE_URL=url, TOCSIN_SECRET_KEY=KEY))
        assert severities(found)["database"] == {Severity.SEVERE}


async def test_a_role_without_rights_is_a_finding(tmp_path: Path, postgres: Cluster) -> None:
    execute(postgres.url("postgres"), "CREATE ROLE stranger LOGIN")
    with database(postgres) as url:
        other = url.replace("tocsin@", "stranger@")
        found = await examine(settings_in(tmp_path, TOCSIN_DATABASE_URL=other, TOCSIN_SECRET_KEY=KEY))
    (said,) = [one for one in found["database"] if one.severity is not Severity.WELL]
    assert (said.severity, "permission denied" in said.found) == (Severity.SEVERE, True)


async def test_a_damaged_file_is_a_finding(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    migrate(settings.database_url)
    file = tmp_path / "tocsin.db"
    page = 4096
    file.write_bytes(file.read_bytes()[:page] + b"x" * (file.stat().st_size - page))
    assert Severity.SEVERE in severities(await examine(settings))["database"]


@pytest.fixture
def careless() -> Iterator[str]:
    """A database that loses what it acknowledged."""
    with cluster(fsync="off", full_page_writes="off", synchronous_commit="off") as server:
        make_template(server)
        with database(server) as url:
            yield url


async def test_a_postgresql_that_loses_what_it_acknowledged_is_severe(careless: str, tmp_path: Path) -> None:
    found = await examine(settings_in(tmp_path, TOCSIN_DATABASE_URL=careless, TOCSIN_SECRET_KEY=KEY))
    assert [(one.severity, one.found) for one in found["durability"]] == [
        (Severity.SEVERE, "fsync is off."),
        (Severity.SEVERE, "full_page_writes is off."),
        (Severity.SEVERE, "synchronous_commit is off."),
    ]
    assert severities(found)["partitions"] == {Severity.WARNING}


def test_its_exit_code_and_its_lines(tmp_path: Path) -> None:
    installation = Installation(tmp_path)
    ended = installation.command("doctor", check=False)
    assert (ended.returncode, ended.stderr, list(tmp_path.iterdir())) == (1, "", [])
    assert ended.stdout.splitlines()[0].split()[:2] == ["severe", "database"]
    migrate(f"sqlite:///{tmp_path}/tocsin.db")
    ended = installation.command("doctor", "--json", check=False)
    said = json.loads(ended.stdout)
    assert (ended.returncode, said["severity"]) == (0, "warning")
    assert all(set(one) == {"check", "severity", "found", "advice"} for one in said["findings"])
    installation.more["TOCSIN_DATABASE_URL"] = "mysql://x"
    assert installation.command("doctor", check=False).returncode == 2
