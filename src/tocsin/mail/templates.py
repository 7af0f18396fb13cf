"""What mails say, in each language. Names in braces are filled in as they are: a value's braces stay."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from tocsin.domain.languages import Language
from tocsin.domain.mails import NoticeKind


class Text(NamedTuple):
    subject: str
    body: str


_PREFERENCES: Final = {
    Language.FRENCH: "Chacun peut désactiver ces messages dans ses préférences (messageEmailEnabled).",
    Language.ENGLISH: "Everybody can switch these mails off in their preferences (messageEmailEnabled).",
}
_ALWAYS: Final = frozenset({NoticeKind.PASSWORD_REQUESTED, NoticeKind.PASSWORD_CHANGED})

TEXTS: Final[Mapping[NoticeKind, Mapping[Language, Text]]] = {
    NoticeKind.REPORT_CREATED: {
        Language.FRENCH: Text(
            "Nouveau signalement pour {organization}",
            "Un nouveau signalement est arrivé pour {organization} :\n\n{link}",
        ),
        Language.ENGLISH: Text(
            "New report for {organization}",
            "A new report has come for {organization}:\n\n{link}",
        ),
    },
    NoticeKind.REPORT_DELEGATED: {
        Language.FRENCH: Text(
            "Signalement délégué à {organization}",
            "{partner} a délégué un signalement à {organization} :\n\n{link}",
        ),
        Language.ENGLISH: Text(
            "Report delegated to {organization}",
            "{partner} has delegated a report to {organization}:\n\n{link}",
        ),
    },
    NoticeKind.OPERATION_ASSIGNED: {
        Language.FRENCH: Text(
            "Une opération vous est confiée",
            "Une opération de {organization} vous est confiée :\n\n{link}",
        ),
        Language.ENGLISH: Text(
            "An operation was given to you",
            "An operation of {organization} was given to you:\n\n{link}",
        ),
    },
    NoticeKind.WEBHOOK_DISABLED: {
        Language.FRENCH: Text(
            "Webhook désactivé de {organization}",
            "Les webhooks de {organization} qui notifient {receiver} ont été désactivés par le service :\n\n"
            "{reason}\n\n"
            "Rien n'est effacé : réactivés, ils rattrapent ce qu'ils ont manqué, ou le sautent.\n\n{link}",
        ),
        Language.ENGLISH: Text(
            "Webhook of {organization} disabled",
            "The webhooks of {organization} that notify {receiver} were disabled by the service:\n\n"
            "{reason}\n\n"
            "Nothing is deleted: enabled again, they catch up with what they missed, or skip it.\n\n{link}",
        ),
    },
    NoticeKind.PASSWORD_REQUESTED: {
        Language.FRENCH: Text(
            "Changer votre mot de passe",
            "Quelqu'un, vous peut-être, a demandé à changer le mot de passe de ce compte. Ce lien le permet, une seule "
            "fois, pendant une heure :\n\n{link}\n\nSi ce n'était pas vous, il n'y a rien à faire : rien n'est changé.",
        ),
        Language.ENGLISH: Text(
            "Change your password",
            "Somebody, perhaps you, asked to change the password of this account. This link does it, once, within an "
            "hour:\n\n{link}\n\nIf it wasn't you, there is nothing to do: nothing has changed.",
        ),
    },
    NoticeKind.PASSWORD_CHANGED: {
        Language.FRENCH: Text(
            "Votre mot de passe a été changé",
            "Le mot de passe de votre compte vient d'être changé, et tout appareil qui était connecté ne l'est plus. "
            "Si ce n'était pas vous, demandez tout de suite un nouveau lien, et vérifiez qui lit votre messagerie.",
        ),
        Language.ENGLISH: Text(
            "Your password was changed",
            "The password of your account has just been changed, and whatever was logged in is not any more. If it "
            "wasn't you, ask for a new link at once, and look who reads your mailbox.",
        ),
    },
}
_GREETING: Final = {Language.FRENCH: "Bonjour,", Language.ENGLISH: "Hello,"}


def write(kind: NoticeKind, language: Language, values: Mapping[str, str]) -> Text:
    """Subject and body. Raises KeyError where a value is missing."""
    subject, body = TEXTS[kind][language]
    parts = [_GREETING[language], body.format_map(values)]
    if kind not in _ALWAYS:
        parts.append(_PREFERENCES[language])
    return Text(subject.format_map(values), "\n\n".join(parts) + "\n")
