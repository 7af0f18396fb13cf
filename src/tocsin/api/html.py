"""HTML as values: text is escaped unless it is HTML already, so that nothing is forgotten."""

from collections.abc import Iterable
from html import escape
from typing import Final

VOID: Final = frozenset({"link", "meta"})


class Html(str):
    """Markup. Made by `element` and `joined` only."""

    __slots__ = ()


def markup(text: str) -> Html:
    """Text escaped; markup as it is."""
    return text if isinstance(text, Html) else Html(escape(text))


def joined(parts: Iterable[str], between: str = "") -> Html:
    return Html(markup(between).join(markup(part) for part in parts))


def element(name: str, /, *inner: str, **attributes: str) -> Html:
    """`class_` and `for_` stand for the attributes of that name; `_` in a name for `-`."""
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{written}>") if name in VOID else Html(f"<{name}{written}>{joined(inner)}</{name}>")
