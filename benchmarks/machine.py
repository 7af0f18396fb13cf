"""What a benchmark needs of the machine: CPU time of processes, nginx as the receiver, wrk as the measure of what a
client in C gets out of that receiver.

nginx and wrk are Debian's packages of that name (`nginx-light`, `wrk`); without them a benchmark that compares with
them ends and says so.
"""

import contextlib
import json
import os
import re
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme
from tests.processes import free_port

TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")
START_SECONDS: Final = 10.0

CONFIGURATION: Final = """
daemon off; master_process off; worker_rlimit_nofile 20000; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 16000; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; client_body_buffer_size 64k;
  client_body_temp_path {directory}/body;
  server {{
    listen 127.0.0.1:{port} {tls}; {certificate}
    location / {{ return 200; }}
    location = /count {{ stub_status; }}
  }}
}}
"""

WRK: Final = """
wrk.method = "POST"
wrk.headers = {headers}
wrk.body = {body}
"""


class Missing(Exception):
    """A program that the benchmark compares with is not installed."""


def program(name: str, package: str) -> str:
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if found is None:
        raise Missing(f"{name} is not here: install Debian's package {package}")
    return found


def cpu_seconds(process_id: int, *, descendants: bool = False) -> float:
    """User and system time so far. `descendants`: also of its children, those that ended included."""
    total = _ticks(process_id, 4 if descendants else 2)
    if descendants:
        with contextlib.suppress(FileNotFoundError):
            children = Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()
            total += sum(_ticks(int(child), 4) for child in children)
    return total / TICKS_PER_SECOND


def _ticks(process_id: int, fields: int) -> int:
    """Of /proc/PID/stat: utime and stime, then those of children that were waited for."""
    try:
        after_name = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(int(one) for one in after_name[11 : 11 + fields])


def memory_bytes(process_id: int) -> int:
    """Resident memory."""
    return int(Path(f"/proc/{process_id}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_bytes(process_id: int) -> int:
    """The most memory that the process has had resident."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process_id}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def cpu_by_part(watched: Mapping[str, Sequence[int]]) -> dict[str, float]:
    """Seconds so far of each part's processes; the database is its server with all that it has started."""
    return {
        name: sum(cpu_seconds(one, descendants=name == "database") for one in processes)
        for name, processes in watched.items()
    }


@dataclass
class Nginx:
    """A receiver in C: one process, one thread; answers 200 to everything, and counts."""

    process: subprocess.Popen[bytes]
    port: int
    ca_file: Path | None
    _asked: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}" if self.ca_file is None else f"https://localhost:{self.port}"

    def received(self) -> int:
        """Requests so far, but for those that asked for this number."""
        tls = None if self.ca_file is None else ssl.create_default_context(cafile=self.ca_file)
        with urllib.request.urlopen(f"{self.url}/count", context=tls) as answer:  # noqa: S310 # our own
            text = answer.read().decode()
        self._asked += 1
        found = re.search(r"\n\s*\d+\s+\d+\s+(\d+)", text)
        assert found is not None
        return int(found[1]) - self._asked


@contextlib.contextmanager
def nginx(directory: Path, *, tls: bool = False) -> Iterator[Nginx]:
    """Start it, and stop it."""
    command, port, ca_file, certificate = program("nginx", "nginx-light"), free_port(), None, ""
    directory.mkdir(exist_ok=True)
    if tls:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca_file := directory / "ca.pem"))
        issued = authority.issue_cert("localhost")
        issued.private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
        certificate = f"ssl_certificate {directory}/server.pem; ssl_certificate_key {directory}/server.pem;"
    text = CONFIGURATION.format(directory=directory, port=port, tls="ssl" if tls else "", certificate=certificate)
    (directory / "nginx.conf").write_text(text)
    process = subprocess.Popen([command, "-e", f"{directory}/error.log", "-c", f"{directory}/nginx.conf"])
    one = Nginx(process, port, ca_file)
    try:
        give_up_at = time.monotonic() + START_SECONDS
        while True:
            try:
                one.received()
                break
            except OSError:
                assert time.monotonic() < give_up_at, (directory / "error.log").read_text()
                time.sleep(0.02)
        yield one
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Wrk:
    """Requests a second, and what each cost the client."""

    per_second: float
    cpu_us: float


def wrk(there: Nginx, directory: Path, head: Sequence[tuple[str, str]], body: bytes, seconds: float) -> Wrk:
    """One thread that POSTs the same notification over 100 connections."""
    script = directory / "wrk.lua"
    headers = "{" + ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in head) + "}"
    script.write_text(WRK.format(headers=headers, body=json.dumps(body.decode())))
    arguments = ("-t1", "-c100", f"-d{seconds:g}s", "-s", str(script), f"{there.url}/receiver")
    before = os.times()
    done = subprocess.run([program("wrk", "wrk"), *arguments], capture_output=True, text=True, check=True)
    after = os.times()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    count = re.search(r"(\d+) requests in", done.stdout)
    assert rate is not None, done.stdout
    assert count is not None, done.stdout
    assert "Non-2xx" not in done.stdout, done.stdout
    used = (after.children_user + after.children_system) - (before.children_user + before.children_system)
    return Wrk(float(rate[1]), used / int(count[1]) * 1e6)
