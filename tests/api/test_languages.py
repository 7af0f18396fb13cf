"""Errors in the caller's language; nothing else depends on it."""

from typing import Any

import httpx
import pytest

from tests.api.client import City, city, person
from tests.conftest import Service

pytestmark = pytest.mark.anyio


@pytest.fixture
async def bordeaux(service: Service) -> City:
    return await city(await person(service.http))


async def ask(bordeaux: City, method: str, path: str, body: Any = None, language: str = "") -> httpx.Response:
    """Without any Accept-Language where the language is empty: httpx would send none by itself."""
    async with httpx.AsyncClient(base_url=bordeaux.admin.http.base_url) as http:
        headers = {**bordeaux.admin.headers, **({"Accept-Language": language} if language else {})}
        return await http.request(method, path, json=body, headers=headers)


async def test_errors_are_french_unless_english_is_preferred(bordeaux: City) -> None:
    path = "/operations"
    for language, message, tag in (
        ("", "Cette valeur ne doit pas être vide.", "fr-FR"),
        ("fr-FR", "Cette valeur ne doit pas être vide.", "fr-FR"),
        ("de", "Cette valeur ne doit pas être vide.", "fr-FR"),
        ("en-US", "This should not be empty.", "en-US"),
        ("fr;q=0.1, en", "This should not be empty.", "en-US"),
    ):
        answer = await ask(bordeaux, "POST", path, {}, language)
        assert answer.status_code == 400
        assert answer.json()["_embedded"]["errors"][0]["message"] == message, language
        assert (answer.headers["content-language"], answer.headers["vary"]) == (tag, "Accept-Language")


async def test_each_kind_of_error_is_french(bordeaux: City) -> None:
    report = await bordeaux.report()
    for method, path, body, status, message in (
        ("GET", "/nowhere", None, 404, "Introuvable."),
        ("GET", f"/reports/{bordeaux.id}", None, 404, "Ce signalement n’existe pas."),
        ("DELETE", "/", None, 405, "Cette méthode n’est pas permise ici."),
        (
            "POST",
            f"/reports/{report['id']}/workflow/transition",
            {"transition": "close"},
            409,
            "Signalement : l’état est NEW ; « close » est impossible ; possible : accept, refuse.",
        ),
    ):
        answer = await ask(bordeaux, method, path, body)
        assert (answer.status_code, answer.json()["message"]) == (status, message)
    wrong = {
        "event": "reportCreated",
        "organization": bordeaux.id,
        "payloadUrl": "https://10.0.0.1/",
        "headers": {"Host": "x"},
    }
    answer = await ask(bordeaux, "POST", "/webhooks", wrong)
    assert answer.json()["message"] == "La validation a échoué."
    assert answer.json()["_embedded"]["errors"][0]["message"] == "L’en-tête Host est écrit par tocsin."
    del wrong["headers"]
    answer = await ask(bordeaux, "POST", "/webhooks", wrong)
    assert answer.json()["_embedded"]["errors"][0]["message"] == "L’adresse est privée (RFC 1918) (private)."
    answer = await ask(bordeaux, "PATCH", f"/people/{bordeaux.admin.id}", {"email": "ada", "optIn": "yes", "x": 1})
    assert {(one["path"], one["message"]) for one in answer.json()["_embedded"]["errors"]} == {
        ("email", "Cette valeur n’est pas une adresse électronique."),
        ("optIn", "Cette valeur doit être vraie ou fausse."),
        ("x", "Ce champ n’existe pas."),
    }


async def test_a_representation_is_the_same_in_every_language(bordeaux: City) -> None:
    report = await bordeaux.report()
    path = f"/reports/{report['id']}"
    french, english = [await ask(bordeaux, "GET", path, language=one) for one in ("fr-FR", "en-US")]
    assert (french.content, french.headers["etag"]) == (english.content, english.headers["etag"])
    assert "content-language" not in french.headers
