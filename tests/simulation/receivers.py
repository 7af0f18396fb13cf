"""Virtual receivers, and the poster through which one process reaches them."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

from tests.simulation.observer import Arrival, Observer
from tests.simulation.process import Process
from tocsin.delivery.connection import Limits
from tocsin.delivery.outcome import Durations, Outcome, OutcomeKind
from tocsin.delivery.target import Target

TIMEOUT_SECONDS: Final = Limits().attempt_timeout_seconds


class Mode(Enum):
    """What a receiver does, until it does something else."""

    WELL = "well"
    SLOW = "slow"
    FLAKY = "flaky"
    ERRORS = "errors"
    HANGS = "hangs"
    REFUSES = "refuses"
    BUSY = "busy"


TROUBLES: Final = (Mode.SLOW, Mode.FLAKY, Mode.ERRORS, Mode.HANGS, Mode.REFUSES, Mode.BUSY)
RETRY_AFTERS: Final = ("3", "30", "600", "999999999", "-5", "soon", "Wed, 15 Nov 2023 00:00:00 GMT")


@dataclass(frozen=True)
class Reaction:
    """`status` None: never answers; 0: refuses the connection."""

    status: int | None
    seconds: float
    retry_after: str | None = None


class Receiver:
    """Always well, unless it has troubles; then it changes its mode now and then."""

    def __init__(self, url: str, chance: Random, troubles: Sequence[Mode]) -> None:
        self.url = url
        self.troubled = bool(troubles)
        self.mode = Mode.WELL
        self.mode_until = 0.0
        self.poison: set[str] = set()
        """Resources that it can't take, whatever its mode."""
        self.gone = False
        self.healed = False
        self._troubles = troubles
        self._chance = chance

    def react(self, resource_id: str, now: float) -> Reaction:
        if self.troubled and not self.healed and now > self.mode_until:
            self._turn(now)
        quick = 0.001 + self._chance.random() * 0.03
        if self.healed:
            return Reaction(200, quick)
        if self.gone:
            return Reaction(410, quick)
        if resource_id in self.poison:
            return Reaction(500, quick)
        match self.mode:
            case Mode.WELL:
                return Reaction(200, quick)
            case Mode.SLOW:
                return Reaction(200, 0.5 + self._chance.random() * 16)
            case Mode.FLAKY:
                return Reaction(self._chance.choice((200, 200, 500)), quick)
            case Mode.ERRORS:
                return Reaction(self._chance.choice((400, 404, 500, 502)), quick)
            case Mode.HANGS:
                return Reaction(None, TIMEOUT_SECONDS)
            case Mode.REFUSES:
                return Reaction(0, quick)
            case Mode.BUSY:
                return Reaction(self._chance.choice((429, 503)), quick, self._chance.choice(RETRY_AFTERS))

    def _turn(self, now: float) -> None:
        if self.mode is Mode.WELL:
            self.mode = self._chance.choice(self._troubles)
            self.mode_until = now + self._chance.choice((20.0, 120.0, 900.0, 5400.0)) * self._chance.random()
        else:
            self.mode = Mode.WELL
            self.mode_until = now + 1800.0 * self._chance.random()


class VirtualPost:
    """One attempt."""

    def __init__(self, poster: "VirtualPoster", arrival: Arrival, reaction: Reaction) -> None:
        self._poster = poster
        self._arrival = arrival
        self._reaction = reaction
        self._told = False
        seconds = min(reaction.seconds, TIMEOUT_SECONDS)
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(seconds, self._end)
        self._taken = reaction.status is not None and 200 <= reaction.status < 300

    def _end(self) -> None:
        """The receiver is done with it, or the attempt's time is."""
        in_time = self._reaction.seconds <= TIMEOUT_SECONDS
        self._poster.observer.ended(self._arrival, taken=self._taken, told=in_time)
        if self._reaction.status is None or self._reaction.seconds > TIMEOUT_SECONDS:
            kind, reason = OutcomeKind.RESPONSE_TIMEOUT, "No complete answer within 15 s."
        elif self._reaction.status == 0:
            kind, reason = OutcomeKind.CONNECT_FAILED, "No connection to the receiver."
        else:
            kind, reason = OutcomeKind.RESPONSE, f"The receiver answered {self._reaction.status}."
        self._tell(kind, reason)

    def _tell(self, kind: OutcomeKind, reason: str) -> None:
        seconds = min(self._reaction.seconds, TIMEOUT_SECONDS)
        status = self._reaction.status if kind is OutcomeKind.RESPONSE else None
        durations = Durations(round(seconds * 1_000_000))
        self._poster.tell(self, Outcome(kind, reason, durations, status, self._reaction.retry_after))

    def interrupt(self) -> None:
        if not self._told:
            self._told = True
            self.cut()
            outcome = Outcome(OutcomeKind.INTERRUPTED, "This process is ending.", Durations(1))
            self._poster.finish(self, outcome)

    def cut(self) -> None:
        """The connection ends with its process; whether the receiver has taken it, the sender never learns."""
        if not self._timer.cancelled() and self._timer.when() > asyncio.get_running_loop().time():
            self._timer.cancel()
            self._poster.observer.ended(
                self._arrival, taken=self._taken and self._poster.chance.random() < 0.5, told=False
            )

    def told(self) -> bool:
        told, self._told = self._told, True
        return told


class VirtualPoster:
    """`worker.Poster` of one process."""

    def __init__(
        self,
        process: Process,
        receivers: dict[str, Receiver],
        observer: Observer,
        loop: asyncio.AbstractEventLoop,
        chance: Random,
    ) -> None:
        self.limits = Limits()
        self.observer = observer
        self.chance = chance
        self._process = process
        self._receivers = receivers
        self._loop = loop
        self._flying: dict[VirtualPost, Callable[[Outcome], None]] = {}

    def post(self, target: Target, head: bytes, body: bytes, done: Callable[[Outcome], None]) -> VirtualPost:
        now = self._loop.time()
        arrival = self.observer.started(self._process, target.url, head, body)
        reaction = self._receivers[target.url].react(arrival.resource_id, now)
        one = VirtualPost(self, arrival, reaction)
        self._flying[one] = done
        return one

    def tell(self, one: VirtualPost, outcome: Outcome) -> None:
        """To the worker, as soon as its process runs."""
        if not self._process.alive:
            self._flying.pop(one, None)
            return
        wait = self._process.paused_until - self._loop.time()
        if wait > 0:
            self._loop.call_later(wait, self.tell, one, outcome)
        elif not one.told():
            self.finish(one, outcome)

    def finish(self, one: VirtualPost, outcome: Outcome) -> None:
        done = self._flying.pop(one, None)
        if done is not None:
            done(outcome)

    def die(self) -> None:
        """With the process."""
        for one in list(self._flying):
            one.cut()
        self._flying.clear()
