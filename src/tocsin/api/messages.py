"""What errors say, in the caller's language: French unless `Accept-Language` prefers English (CONTRACT, section 1).

Sentences are written in English where they are raised. Here, at the boundary, they are found again in a catalogue of
sentences with places (`messages_fr.txt`), and said in French; what fills a place is translated too where the catalogue
has it. What pydantic finds is said in plain words by the type of the error, in both languages. A sentence that is in
no catalogue stays English; a test looks for those.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

from starlette.types import Scope

from tocsin.api.messages_validation import VALIDATION
from tocsin.domain.languages import DEFAULT, Language, preferred

CATALOGUE: Final = "messages_fr.txt"
MESSAGE_MAX_CHARACTERS: Final = 1_000
"""Of a sentence that quotes what it was given."""


def spoken(scope: Scope) -> Language:
    """The language of a request's `Accept-Language`."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"accept-language"]
    return preferred(",".join(values)) or DEFAULT


def translated(message: str, language: Language) -> str:
    """The sentence in the language; as it is where that has none for it."""
    cut = message if len(message) <= MESSAGE_MAX_CHARACTERS else f"{message[:MESSAGE_MAX_CHARACTERS]}…"
    french = None if language is Language.ENGLISH else _french(cut)
    return cut if french is None else _sentence(french)


def validation_message(error: Mapping[str, Any], language: Language) -> str:
    """One sentence for people out of pydantic's error."""
    known = VALIDATION.get(_kind(error))
    if known is not None:
        places = dict(error.get("ctx", {}))
        if language is Language.ENGLISH:
            return known.english.format_map(places)
        return known.french.format_map({**places, "expected": str(places.get("expected")).replace(" or ", " ou ")})
    return translated(_sentence(str(error["msg"]).removeprefix("Value error, ")), language)


def _kind(error: Mapping[str, Any]) -> str:
    """What is shorter than one is empty."""
    kind = str(error["type"])
    empty = kind in {"string_too_short", "too_short"} and error.get("ctx", {}).get("min_length") == 1
    if kind == "value_error" and str(error["msg"]).startswith("value is not a valid email address"):
        return "email"
    return "missing" if empty else kind


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}" if text.endswith((".", "…")) else f"{text[:1].upper()}{text[1:]}."


def _plain(text: str) -> str:
    """Sentences are known without their first capital and last point."""
    return text[:1].lower() + text[1:].removesuffix(".")


def _french(text: str) -> str | None:
    """None: the catalogue has nothing for it."""
    plain = _plain(text)
    if plain in _EXACT:
        return _EXACT[plain]
    for parts, french in _PATTERNS:
        found = _filling(parts, plain)
        if found is not None:
            return french.format(*(_french(one) or one for one in found))
    return _composed(plain)


def _composed(plain: str) -> str | None:
    """`reason (its name)`, `reason: detail`."""
    head, opening, name = plain.rpartition(" (")
    reason = _french(head) if opening and name.endswith(")") else None
    if reason is not None:
        return f"{reason} ({name}"
    head, colon, detail = plain.partition(": ")
    reason = _EXACT.get(head) if colon else None
    return None if reason is None else f"{reason} : {_french(detail) or detail}"


def _filling(parts: tuple[str, ...], text: str) -> list[str] | None:
    """What stands between the parts, each found where it first occurs; None: they are not in the text. Linear."""
    first, *middle, last = parts
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return None
    end, place, found = len(text) - len(last), len(first), []
    for part in middle:
        at = text.find(part, place, end)
        if at < 0:
            return None
        found.append(text[place:at])
        place = at + len(part)
    return [*found, text[place:end]]


def catalogue() -> dict[str, str]:
    """English sentences to French ones, as the file has them."""
    text = files("tocsin.api").joinpath(CATALOGUE).read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    pairs = list(zip(lines[0::2], lines[1::2], strict=True))
    assert all(french.startswith("    ") and not english.startswith(" ") for english, french in pairs), "out of step"
    return {english: french.strip() for english, french in pairs}


SENTENCES: Final = catalogue()
_EXACT: Final = {_plain(english): french for english, french in SENTENCES.items() if "{}" not in english}
_PATTERNS: Final = sorted(
    ((tuple(_plain(english).split("{}")), french) for english, french in SENTENCES.items() if "{}" in english),
    key=lambda pattern: -sum(map(len, pattern[0])),
)
"""Those that say most come first."""
