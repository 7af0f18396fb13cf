"""`python -m tests.fuzz`: drawn calls to the service on both engines; ends with 1 and the seed where one went wrong."""

import argparse
import math
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.fuzz.run import Amount, Found, figures, fuzz
from tests.fuzz.server import served
from tests.fuzz.steering import Steering
from tests.postgres import Cluster, cluster, make_template

ENGINES: Final = ("sqlite", "postgresql")
ROUND: Final = Amount(each=3, chains=60, edges=8)
"""About 1,400 calls."""
REACHED_MIN: Final = 0.9
"""The share of operations that must have had a 2xx, or the run says little."""
TELLING_CASES: Final = 2_000
"""From so many calls on."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round")
    parser.add_argument("--cases", type=int, default=10_000, help="calls, of both engines together")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin no further round after so many; 0: no limit")
    parser.add_argument("--engines", nargs="+", choices=ENGINES, default=ENGINES)
    given = parser.parse_args()
    cases, seconds = given.cases / len(given.engines), given.seconds / len(given.engines)
    wrong = sum(_wrong_on(engine, given.seed, cases, seconds or math.inf) for engine in given.engines)
    if wrong:
        print(f"make fuzz SEED={given.seed} CASES={given.cases}")
    return 1 if wrong else 0


def _wrong_on(engine: str, seed: int, cases: float, seconds: float) -> int:
    """How many things were wrong; rounds end with the first."""
    found, begun = Found(), seed
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        steering = Steering(stack.enter_context(served(directory, _postgres(engine, stack))), seed)
        stack.callback(steering.close)
        while found.cases < cases and found.seconds < seconds and not found.wrong:
            fuzz(steering, seed, ROUND, found)
            seed += 1
    print(f"{engine}, seeds {begun} to {seed - 1}\n{figures(found)}\n", flush=True)
    return _told(found)


def _postgres(engine: str, stack: ExitStack) -> Cluster | None:
    if engine == "sqlite":
        return None
    postgres = stack.enter_context(cluster())
    make_template(postgres)
    return postgres


def _told(found: Found) -> int:
    for name, what in found.wrong.items():
        print(f"{name}\n{what}\n")
    if found.cases >= TELLING_CASES and found.reached < REACHED_MIN:
        print(f"Only {found.reached:.0%} of the operations had a 2xx: {sorted(found.operations - found.succeeded)}")
        return 1
    return len(found.wrong)


if __name__ == "__main__":
    sys.exit(main())
