"""Quotes that became a part of a value: kept from an env file, or written twice."""

QUOTED = "the quotes are a part of the value"
UNQUOTE = "write it without them; docker's env files, for one, keep quotes"


def in_quotes(text: str) -> str | None:
    """Return what stands between a pair of quotes around the whole text; None if there is no such pair."""
    text = text.strip()
    wrapped = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if wrapped else None
