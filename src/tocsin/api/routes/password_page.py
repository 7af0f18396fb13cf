"""Where the link of a password mail leads a person: one page, whole in itself, that asks for the new password.

Looking at it uses nothing up, since mail programs look at links before people do. It needs no network but the call that
sets the password, and its Content-Security-Policy allows no other. It does not look at the token: that call does.
"""

import base64
import hashlib
from typing import Final

from fastapi import APIRouter, Request, Response

from tocsin.domain.languages import DEFAULT, Language, preferred
from tocsin.service.passwords import PASSWORD_MAX_CHARACTERS, PASSWORD_MIN_CHARACTERS

router = APIRouter(prefix="/security", include_in_schema=False)

STYLE: Final = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:26rem;margin:12vh auto;padding:0 1rem}"
    "input,button{font:inherit;width:100%;box-sizing:border-box;padding:.5rem;margin:.4rem 0}"
)
SCRIPT: Final = """
const form = document.querySelector("form"), told = document.querySelector("output"), says = form.dataset;
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  told.textContent = "";
  try {
    const body = JSON.stringify({ password: form.elements.password.value });
    const headers = { "Content-Type": "application/json" };
    const answer = await fetch(location.href, { method: "POST", headers, body });
    told.textContent = answer.status === 204 ? says.done : answer.status === 404 ? says.gone : says.failed;
    if (answer.status === 204) form.replaceChildren();
  } catch { told.textContent = says.failed; }
});
"""
TEXTS: Final = {
    Language.FRENCH: {
        "title": "Nouveau mot de passe",
        "label": f"Nouveau mot de passe, de {PASSWORD_MIN_CHARACTERS} caractères au moins",
        "button": "Changer",
        "done": "C'est fait.",
        "gone": "Ce lien est inconnu, déjà utilisé ou trop ancien : demandez-en un autre.",
        "failed": "Cela n'a pas marché. Essayez encore.",
        "script": "Cette page a besoin de JavaScript.",
    },
    Language.ENGLISH: {
        "title": "New password",
        "label": f"New password, at least {PASSWORD_MIN_CHARACTERS} characters",
        "button": "Change",
        "done": "Done.",
        "gone": "This link is unknown, used or too old: ask for another one.",
        "failed": "That did not work. Try again.",
        "script": "This page needs JavaScript.",
    },
}
_PAGE: Final = """<!doctype html>
<html lang="{language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>{style}</style>
<h1>{title}</h1>
<form data-done="{done}" data-gone="{gone}" data-failed="{failed}">
<label>{label}<input name="password" type="password" autocomplete="new-password" required minlength="{minimum}"
maxlength="{maximum}"></label><button>{button}</button></form>
<p><output></output></p><noscript>{script_needed}</noscript>
<script>{script}</script></html>
"""


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


HEADERS: Final = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src {_hash(STYLE)}; script-src {_hash(SCRIPT)}; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Vary": "Accept-Language",
}


def _page(language: Language) -> str:
    texts = dict(TEXTS[language])
    limits = {"minimum": PASSWORD_MIN_CHARACTERS, "maximum": PASSWORD_MAX_CHARACTERS}
    parts = {"language": language.value, "style": STYLE, "script_needed": texts.pop("script"), "script": SCRIPT}
    return _PAGE.format(**parts, **limits, **texts)


PAGES: Final = {language: _page(language) for language in Language}


@router.get("/password/change/{token}")
async def show_password_page(request: Request, token: str) -> Response:  # noqa: ARG001 # in the path only
    language = preferred(request.headers.get("accept-language")) or DEFAULT
    return Response(PAGES[language], headers=HEADERS, media_type="text/html")
