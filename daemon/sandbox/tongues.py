"""The panel's words in another language, as `APP_LOCALE` sets it: a client that matches words fails on such a panel.

What has no translation stays English, as on a real panel.
"""

from collections.abc import Mapping

GERMAN: Mapping[str, str] = {
    "This server is currently suspended and the functionality requested is unavailable.": (
        "Dieser Server ist derzeit gesperrt, und die angeforderte Funktion ist nicht verfügbar."
    ),
    "The node of this server is currently under maintenance and the functionality requested is unavailable.": (
        "Die Node dieses Servers wird derzeit gewartet, und die angeforderte Funktion ist nicht verfügbar."
    ),
    "This server has not yet completed its installation process, please try again later.": (
        "Die Installation dieses Servers ist noch nicht abgeschlossen, bitte versuche es später erneut."
    ),
    "This server is currently restoring from a backup, please try again later.": (
        "Dieser Server wird gerade aus einem Backup wiederhergestellt, bitte versuche es später erneut."
    ),
    "This server is currently being transferred to a new machine, please try again later.": (
        "Dieser Server wird gerade auf eine andere Maschine verschoben, bitte versuche es später erneut."
    ),
    "The requested resource could not be found on the server.": (
        "Die angeforderte Ressource konnte auf dem Server nicht gefunden werden."
    ),
    "This action is unauthorized.": "Diese Aktion ist nicht erlaubt.",
    "Too Many Attempts.": "Zu viele Versuche.",
    "An unexpected error was encountered while processing this request, please try again.": (
        "Bei der Verarbeitung dieser Anfrage ist ein unerwarteter Fehler aufgetreten, bitte versuche es erneut."
    ),
}
TONGUES: Mapping[str, Mapping[str, str]] = {"en": {}, "de": GERMAN}


def tongue(locale: str) -> str:
    """Return the locale; raises ValueError if the sandbox does not speak it."""
    if locale not in TONGUES:
        raise ValueError(f"no such locale: {locale!r}; there are {', '.join(TONGUES)}")
    return locale


def spoken(detail: str, locale: str) -> str:
    """Return the words in that language."""
    return TONGUES[locale].get(detail, detail)
