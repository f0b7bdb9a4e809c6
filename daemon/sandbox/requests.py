"""What a caller asks for, read and checked as the panel's framework does, before any rule of the panel."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request

from daemon.sandbox.answers import PanelRefusal, bad_request, forbidden, invalid
from daemon.sandbox.records import Key
from daemon.sandbox.settings import Kind, Settings

BOOLEANS: Mapping[object, bool] = {True: True, False: False, "1": True, "0": False}
"""What passes for a boolean; 1 and 0 equal True and False here as there."""


def wants_json(request: Request) -> bool:
    """Return whether the first kind that the caller accepts is JSON of some sort."""
    first = request.headers.get("accept", "").split(",")[0]
    return "/json" in first or "+json" in first


def authenticate(request: Request, keys: Mapping[str, Key], panel: Kind) -> Key:
    """Return the key that was sent; `Bearer` must have its capital where the panel is no Pelican. Raises 401."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if panel is Kind.PELICAN:
        kind = kind.capitalize()
    key = keys.get(token) if kind == "Bearer" else None
    if key is None:
        raise PanelRefusal(401, "AuthenticationException", "Unauthenticated.")
    return key


def check_key(request: Request, key: Key) -> None:
    """Raise 403 if the key may not be used from there, or not for this API."""
    address = request.client.host if request.client else "unknown"
    if key.allowed_ips and address not in key.allowed_ips:
        raise forbidden(
            f"This IP address ({address}) does not have permission to access the API using these credentials."
        )
    if key.for_application:
        raise forbidden(
            "You are attempting to use an application API key on an endpoint that requires a client API key."
        )


async def read_body(request: Request) -> dict[str, Any]:
    """Return the fields that were sent as JSON or as a form, texts trimmed, empty ones None. Raises 400."""
    raw = await request.body()
    if "json" not in request.headers.get("content-type", ""):
        fields: Any = dict(parse_qsl(raw.decode("utf-8", "replace")))
    else:
        try:
            fields = json.loads(raw) if raw else {}
        except ValueError:
            detail = "The JSON data passed in the request appears to be malformed: Syntax error"
            raise bad_request(detail) from None
    if not isinstance(fields, dict):
        return {}
    return {name: (value.strip() or None) if isinstance(value, str) else value for name, value in fields.items()}


def validate_create(fields: Mapping[str, Any], settings: Settings) -> tuple[str | None, list[str], bool]:
    """Name, patterns and lock of a backup to be made, all of them optional. Raises 422.

    Patterns are parted by newlines alone: a list with commas is one pattern, and a carriage return stays.
    """
    name, ignored, locked = fields.get("name"), fields.get("ignored"), fields.get("is_locked")
    errors = _wrong_name(name, settings.name_limit)
    of_ignored, of_locked = [], []
    if not isinstance(ignored, str | None):
        of_ignored = [invalid("ignored", "string", "The ignored must be a string.")]
    if locked is not None and _boolean(locked) is None:
        of_locked = [invalid("is_locked", "boolean", "The is locked field must be true or false.")]
    pelican = settings.kind is Kind.PELICAN  # which asks for them in another order
    _raise_invalid([*errors, *(of_locked + of_ignored if pelican else of_ignored + of_locked)])
    return name, [pattern for pattern in (ignored or "").split("\n") if pattern], bool(_boolean(locked))


def validate_rename(fields: Mapping[str, Any], settings: Settings) -> str:
    """Return the new name, which must be there. Raises 422."""
    name = fields.get("name")
    if name is None:
        _raise_invalid([invalid("name", "required", "The name field is required.")])
    _raise_invalid(_wrong_name(name, settings.name_limit))
    return str(name)


def _wrong_name(name: object, longest: int) -> list[dict[str, Any]]:
    if not isinstance(name, str | None):
        return [invalid("name", "string", "The name must be a string.")]
    if name and len(name) > longest:
        return [invalid("name", "max", f"The name may not be greater than {longest} characters.")]
    return []


def validate_restore(fields: Mapping[str, Any]) -> bool:
    """Return `truncate`, which must be there. Raises 422."""
    truncate = fields.get("truncate")
    if truncate is None:
        _raise_invalid([invalid("truncate", "required", "The truncate field is required.")])
    if _boolean(truncate) is None:
        _raise_invalid([invalid("truncate", "boolean", "The truncate field must be true or false.")])
    return _boolean(truncate) is True


def validate_pull(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the address to pull from, and the path of the file that is made. Raises 422."""
    url, folder, name = fields.get("url"), fields.get("directory"), fields.get("filename")
    _need(url=url)
    return str(url), f"{folder or ''}/{name or str(url).partition('?')[0].rpartition('/')[2]}"


def validate_decompress(fields: Mapping[str, Any]) -> tuple[str, str]:
    """Return the folder, and the archive in it. Raises 422."""
    _need(file=fields.get("file"))
    return str(fields.get("root") or ""), str(fields["file"])


def validate_delete_files(fields: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the folder, and the names in it that are to go. Raises 422."""
    names = fields.get("files")
    _need(root=fields.get("root"), files=names)
    return str(fields["root"]), [str(name) for name in names or ()]


def validate_power(fields: Mapping[str, Any]) -> str:
    """Return the signal. Raises 422."""
    name = fields.get("signal")
    _need(signal=name)
    if name not in {"start", "stop", "restart", "kill"}:
        _raise_invalid([invalid("signal", "in", "The selected signal is invalid.")])
    return str(name)


def _need(**fields: object) -> None:
    missing = [name for name, value in fields.items() if not value]
    _raise_invalid([invalid(name, "required", f"The {name} field is required.") for name in missing])


def _boolean(value: object) -> bool | None:
    return BOOLEANS.get(value) if isinstance(value, bool | int | str) else None


def _raise_invalid(errors: list[dict[str, Any]]) -> None:
    if errors:
        raise PanelRefusal(422, "ValidationException", errors[0]["detail"], errors=errors)
