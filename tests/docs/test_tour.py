"""The five-minute tour of the README, word for word, against real processes."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from tests.processes import free_port

README = Path(__file__).parents[2] / "README.md"
SECONDS = 90


def tour() -> str:
    """The commands of the section, in order."""
    section = README.read_text(encoding="utf-8").partition("## Five minutes with curl")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert len(blocks) > 5
    return "\n".join(blocks)


def test_the_tour_of_the_readme_runs(tmp_path: Path) -> None:
    serve, receive = free_port(), free_port()
    script = tour().replace("8000", str(serve)).replace("9000", str(receive))
    waits = f"until curl -sf localhost:{serve}/health/ready; do sleep 0.1; done"
    script = script.replace(f"tocsin serve --port {serve} &", f"tocsin serve --port {serve} &\n{waits}")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    said = tmp_path / "said.txt"
    with said.open("w") as output:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path,
            env={**environment, "PATH": path},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        code = process.wait(timeout=SECONDS)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert code == 0, said.read_text()
    received = (tmp_path / "received.txt").read_text().splitlines()
    assert [line.split()[:2] for line in received] == [["reportCreated", "1"], ["reportStateChanged", "2"]]
