"""What every use case stands on, handed in by `app`: nothing here is global."""

from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from typing import Final

from argon2 import PasswordHasher

from tocsin.clock import Clock
from tocsin.domain.ids import uuid7
from tocsin.hal import Hal
from tocsin.service.pictures import Pictures
from tocsin.service.sessions import new_key
from tocsin.service.vault import Vault
from tocsin.storage.interface import Storage

ID_ENTROPY_BYTES: Final = 10


@dataclass(frozen=True, slots=True)
class Context:
    """`entropy(n)` gives n random bytes; `open_organizations`: any registered person may create organizations."""

    storage: Storage
    hal: Hal
    clock: Clock
    entropy: Callable[[int], bytes]
    vault: Vault
    open_organizations: bool
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    rate_limits: bool = True
    password_hasher: PasswordHasher | None = None
    """None: as RFC 9106 recommends."""
    make_key: Callable[[], bytes] = new_key
    """Of the keys that sign tokens."""
    pictures: Pictures = field(default_factory=Pictures)

    def new_id(self) -> str:
        """A UUIDv7: ids made later sort later."""
        return uuid7(self.clock.now(), self.entropy(ID_ENTROPY_BYTES))
