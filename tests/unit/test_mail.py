"""How a mail reads and looks, who prefers which language, and how long a mail is tried."""

from email import message_from_bytes
from email.policy import SMTP, SMTPUTF8, default
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.domain.languages import Language, preferred
from tocsin.domain.mails import GIVE_UP_SECONDS, SECOND, Again, GiveUp, NoticeKind, after_failure
from tocsin.mail.message import Mail, compose, one_line
from tocsin.mail.server import Security, parse
from tocsin.mail.templates import TEXTS, write

SENDER = '"Tocsin, the service" <tocsin@example.org>'
TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def mail(subject: str = "x", text: str = "y", recipient: str = "ada@example.org") -> Mail:
    return Mail("the-id", recipient, Language.FRENCH, subject, text, 1_519_725_600_000_000)


@given(TEXT, TEXT)
def test_nothing_that_is_written_adds_a_header_or_leaves_its_place(subject: str, text: str) -> None:
    made = compose(mail(subject, text), SENDER)
    for policy in (SMTP, SMTPUTF8):
        read = message_from_bytes(made.as_bytes(policy=policy), policy=default)
        assert sorted(read.keys()) == sorted(made.keys())
        assert read["To"] == "ada@example.org"
        assert "".join(read["Subject"].split()) == "".join(one_line(subject).split())


def test_a_mail_says_who_sent_it_when_and_in_which_language() -> None:
    made = compose(mail("Été", "Déjà vu : {link}\n"), SENDER)
    read = message_from_bytes(made.as_bytes(), policy=default)
    assert read["From"].addresses[0].display_name == "Tocsin, the service"
    assert (read["Message-ID"], read["Content-Language"]) == ("<the-id@example.org>", "fr-FR")
    assert read["Date"].datetime.isoformat() == "2018-02-27T10:00:00+00:00"
    assert read["Subject"] == "Été"


@pytest.mark.parametrize("recipient", ["", "x", "a@b\r\nBcc: c@d", "a@b, c@d", "<a@b> c"])
def test_what_is_no_single_address_is_no_recipient(recipient: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        compose(mail(recipient=recipient), SENDER)


def test_every_notice_has_its_text_in_every_language_and_names_the_same_things() -> None:
    for kind in NoticeKind:
        fields = []
        for language in Language:
            text = TEXTS[kind][language]
            fields.append({name for part in text for _, name, _, _ in Formatter().parse(part) if name})
        assert fields[0] == fields[1], kind
        written = write(kind, Language.ENGLISH, {name: f"<{{{name}}}>" for name in fields[0]})
        assert all(f"<{{{name}}}>" in written.subject + written.body for name in fields[0])


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, None),
        ("", None),
        ("*", "fr-FR"),
        ("de", None),
        ("fr-FR", "fr-FR"),
        ("en-US,fr;q=0.9", "en-US"),
        ("fr;q=0.2, EN-gb;q=0.3", "en-US"),
        ("fr;q=0, en;q=0.1", "en-US"),
        ("en;q=x, fr;q=0.1", "fr-FR"),
        ("en;q=nan", None),
        ("en;q=2", None),
        ("fr, en", "fr-FR"),
    ],
)
def test_the_language_that_a_client_prefers(header: str | None, language: str | None) -> None:
    assert preferred(header) == language


@given(st.text())
def test_any_header_is_read(header: str) -> None:
    assert preferred(header) in {None, *Language}


@given(st.sampled_from(NoticeKind))
def test_a_mail_is_tried_more_and_more_seldom_and_then_given_up(kind: NoticeKind) -> None:
    now, pauses = 0, []
    for failures in range(1, 100):
        then = after_failure(kind, failures, 0, now, permanent=False)
        if isinstance(then, GiveUp):
            break
        assert isinstance(then, Again)
        pauses.append(then.at - now)
        now = then.at
    assert pauses == sorted(pauses)
    assert 3 < len(pauses) < 40
    assert now <= GIVE_UP_SECONDS * SECOND
    assert after_failure(kind, 1, 0, 0, permanent=True) == GiveUp()


@pytest.mark.parametrize(
    ("url", "host", "port", "security"),
    [
        ("smtp://mail.example.org", "mail.example.org", 25, Security.PLAIN),
        ("smtp://a:b@localhost:2525", "localhost", 2525, Security.PLAIN),
        ("smtp://a:b@mail.example.org/?starttls", "mail.example.org", 587, Security.STARTTLS),
        ("smtps://a%40x:b%2F@[2001:db8::1]", "2001:db8::1", 465, Security.TLS),
    ],
)
def test_a_mail_server_is_named_by_a_url(url: str, host: str, port: int, security: Security) -> None:
    server = parse(url)
    assert (server.host, server.port, server.security) == (host, port, security)
    assert "password" not in repr(server)
    if server.username == "a@x":
        assert server.password == "b/"


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.org",
        "http://mail.example.org",
        "smtp://",
        "smtp://a:b@mail.example.org",
        "smtp://a@localhost",
        "smtp://mail.example.org?tls",
        "smtps://mail.example.org?starttls",
        "smtp://mail.example.org/path",
        "smtp://mail.example.org:99999",
    ],
)
def test_what_names_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(url)
