"""How people are searched for, wherever they are listed: by themselves, or as members."""

from typing import Annotated

from fastapi import Depends, Query

Search = Annotated[str | None, Query(max_length=255)]


async def _people_search(
    given: Annotated[Search, Query(alias="search[givenName]")] = None,
    family: Annotated[Search, Query(alias="search[familyName]")] = None,
    job: Annotated[Search, Query(alias="search[jobTitle]")] = None,
    username: Annotated[Search, Query(alias="search[username]")] = None,
    email: Annotated[Search, Query(alias="search[email]")] = None,
) -> dict[str, str | None]:
    return {"given_name": given, "family_name": family, "job_title": job, "username": username, "email": email}


PeopleSearch = Annotated[dict[str, str | None], Depends(_people_search)]
"""Substrings by the names of members here; None: not asked for."""
