"""`python -m tests.fuzz`: drawn calls to the service on both engines; ends with 1 and the seed where one went wrong."""

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from tests.fuzz.run import Amount, Found, figures, fuzz
from tests.fuzz.server import served
from tests.fuzz.steering import Steering
from tests.postgres import cluster, make_template

ROUND: Final = Amount(each=3, chains=120, edges=8)
"""About 1,300 calls."""
REACHED_MIN: Final = 0.95
"""The share of operations that must have had a 2xx, or the run says little."""
TELLING_CASES: Final = 2_000
"""From so many calls on."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first round")
    parser.add_argument("--cases", type=int, default=10_000, help="calls, of both engines together")
    parser.add_argument("--seconds", type=float, default=0.0, help="begin no further round after so many; 0: no limit")
    given = parser.parse_args()
    wrong = 0
    with cluster() as postgres:
        make_template(postgres)
        for name, engine in (("SQLite", None), ("PostgreSQL", postgres)):
            found = Found()
            with ExitStack() as stack:
                directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                steering = Steering(stack.enter_context(served(directory, engine)), given.seed)
                stack.callback(steering.close)
                seed = given.seed
                while found.cases < given.cases / 2 and not found.wrong:
                    fuzz(steering, seed, ROUND, found)
                    seed += 1
                    if 0 < given.seconds / 2 < found.seconds:
                        break
            print(f"{name}, seeds {given.seed} to {seed - 1}\n{figures(found)}\n", flush=True)
            wrong += _told(found)
    if wrong:
        print(f"make fuzz SEED={given.seed} CASES={given.cases}")
    return 1 if wrong else 0


def _told(found: Found) -> int:
    for name, what in found.wrong.items():
        print(f"{name}\n{what}\n")
    if found.cases >= TELLING_CASES and found.reached < REACHED_MIN:
        print(f"Only {found.reached:.0%} of the operations had a 2xx: {sorted(found.operations - found.succeeded)}")
        return 1
    return len(found.wrong)


if __name__ == "__main__":
    sys.exit(main())
