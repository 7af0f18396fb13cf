"""A small share of what `make fuzz` does: every operation, and chains of calls that follow the links of answers."""

from pathlib import Path

import pytest

from tests.conftest import both_engines
from tests.fuzz.run import Amount, Found, fuzz
from tests.fuzz.server import served
from tests.fuzz.steering import Steering

SEED = 20_180_227
SHARE = Amount(each=1, chains=3)
REACHED_MIN = 0.5
"""A single drawn call of each operation is often one that is rightly refused."""


@both_engines
def test_nothing_is_answered_that_is_not_described(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    postgres = None if engine == "sqlite" else request.getfixturevalue("postgres")
    found = Found()
    with served(tmp_path, postgres) as at:
        steering = Steering(at, SEED)
        fuzz(steering, SEED, SHARE, found)
        steering.close()
    assert list(found.wrong.values()) == []
    assert found.statuses.keys() == found.operations
    assert found.reached > REACHED_MIN
