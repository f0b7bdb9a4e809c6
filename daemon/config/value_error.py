"""How the check of one value says that it is wrong; `translate` adds the key, the value and the file."""

from pydantic_core import PydanticCustomError


def value_error(reason: str, suggestion: str = "") -> PydanticCustomError:
    """Return the error of an invalid value, with what would be right."""
    # Both travel as context, since the message itself is a template in which braces mean something.
    return PydanticCustomError("mistake", "{reason}", {"reason": reason, "suggestion": suggestion})
