"""Real processes of tocsin, started, killed and started again."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

START_SECONDS = 30
STOP_SECONDS = 15
PORTS = (20_000, 32_000)


def free_port() -> int:
    """Not one of those that the system gives to whoever asks for any: it must stay free while its server is down."""
    while True:
        port = random.randrange(*PORTS)  # no secret
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


@dataclass
class Installation:
    """A database file, and the processes that work on it."""

    directory: Path
    port: int = field(default_factory=free_port)
    more: dict[str, str] = field(default_factory=dict)
    module: tuple[str, ...] = ("tocsin",)
    """What `python -m` starts for a process that runs on, before the command."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")},
            "TOCSIN_DATABASE_URL": f"sqlite:///{self.directory}/tocsin.db",
            "TOCSIN_PUBLIC_URL": self.url,
            "TOCSIN_ALLOW_NETWORKS": "127.0.0.0/8",
            "TOCSIN_RATE_LIMITS": "off",
            **self.more,
        }

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "tocsin", *arguments],
            env=self.environment,
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=60,
            check=check,
        )

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process that runs on; what it says goes to a file beside the database."""
        with (self.directory / f"{arguments[0]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *self.module, *arguments], env=self.environment, cwd=self.directory, stderr=log
            )
        self.processes.append(process)
        return process

    async def serve(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start `serve`, and wait until it answers."""
        process = self.start("serve", "--port", str(self.port), *arguments)
        async with httpx.AsyncClient() as http, asyncio.timeout(START_SECONDS):
            while True:
                try:
                    if (await http.get(f"{self.url}/health/ready")).status_code == 200:
                        return process
                except httpx.TransportError:
                    assert process.poll() is None, "serve ended at once"
                await asyncio.sleep(0.02)

    async def stop(self, process: subprocess.Popen[bytes]) -> tuple[int, float]:
        """SIGTERM; returns the exit code, and the seconds that it took."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(process.wait, STOP_SECONDS)
        return code, loop.time() - began

    def kill(self) -> None:
        """kill -9, every process that still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        self.processes.clear()

    def organization(self) -> dict[str, Any]:
        """Made by the operator's command; its admin's token is in it."""
        arguments = ("organization", "create", "Bordeaux", "--admin-email", "admin@example.org", "--json")
        made: dict[str, Any] = json.loads(self.command(*arguments).stdout)
        return made
