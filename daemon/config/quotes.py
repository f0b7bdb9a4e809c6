"""Quotes that are a part of a value: what an env file keeps, and what was quoted twice."""

QUOTED = "the quotes are a part of the value"
UNQUOTE = "write it without them; docker's env files, for one, keep quotes"


def in_quotes(text: str) -> str | None:
    """Return what stands between a pair of quotes around the whole text; None where there is none."""
    text = text.strip()
    wrapped = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if wrapped else None
