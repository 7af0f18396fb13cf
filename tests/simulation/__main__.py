"""`python -m tests.simulation`: histories, from a seed on; ends with 1 and the seed where a promise was broken."""

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from tests.simulation.observer import Invariant
from tests.simulation.world import Plan, simulate


def _weather(plan: Plan, seed: int) -> Plan:
    """Every third seed is a storm."""
    return plan.stormy() if seed % 3 == 0 else plan


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the first history")
    parser.add_argument("--hours", type=float, default=2.0, help="virtual hours of each history")
    parser.add_argument("--deliveries", type=int, default=0, help="go on, seed by seed, until so many")
    parser.add_argument("--processes", type=int, default=1)
    given = parser.parse_args()
    plan, begun = replace(Plan(), hours=given.hours), time.monotonic()
    deliveries = posts = faults = repeats = probes = failures = 0
    seed, hours, slowest = given.seed, 0.0, 0.0
    with ProcessPoolExecutor(given.processes) as pool:
        while True:
            seeds = range(seed, seed + given.processes)
            reports = list(pool.map(simulate, [_weather(plan, one) for one in seeds], seeds))
            for one in reports:
                deliveries, posts, faults = deliveries + one.deliveries, posts + one.posts, faults + one.faults
                repeats, probes, failures = repeats + one.repeats, probes + one.probes, failures + one.failures
                hours, slowest = hours + one.hours, max(slowest, one.slowest)
                for violation in one.violations[:5]:
                    print(f"seed {one.seed}: {violation}")
                if one.violations:
                    print(f"make simulate SEED={one.seed} HOURS={given.hours:g}")
                    return 1
            seed += given.processes
            if deliveries >= given.deliveries:
                break
    seconds = time.monotonic() - begun
    print(
        f"seeds {given.seed} to {seed - 1}: {hours:.0f} virtual hours in {seconds:.0f} s\n"
        f"{deliveries} deliveries, {posts} POSTs, {repeats} repeated after a fault, {failures} failures,"
        f" {probes} probes\n"
        f"{faults} faults; slowest to a healthy receiver without a fault {slowest:.2f} s;"
        f" {len(Invariant)} invariants, 0 violated"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
