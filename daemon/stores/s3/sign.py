"""AWS Signature Version 4 as S3 has it, in a header or an address. Pure: the moment is an argument.

Source: "Authenticating Requests: Using the Authorization Header" in the Amazon S3 API reference; its examples are the
tests. Path and query are encoded here, once, since the signature is of exactly what is sent.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from pydantic import SecretStr

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_ALGORITHM = "AWS4-HMAC-SHA256"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Who signs, and for which region."""

    access_key_id: str
    secret_access_key: SecretStr
    region: str
    session_token: SecretStr | None = None


def encoded_path(path: str) -> str:
    """Given a path, return it as it is sent: all but unreserved letters and slashes percent-encoded."""
    return quote(path, safe="/-_.~")


def encoded_query(query: Mapping[str, str]) -> str:
    """Given the parameters, return them as they are sent: sorted, and each with a "=", as the signature has them."""
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in query.items())
    return "&".join(f"{name}={value}" for name, value in pairs)


def signed_headers(
    key: SigningKey,
    method: str,
    *,
    host: str,
    path: str,
    query: str,
    headers: Mapping[str, str],
    body_sha256: str,
    now: datetime,
) -> dict[str, str]:
    """Given a request, return its headers with those of the signature; all of them are signed.

    `path` and `query` are encoded already; `body_sha256` is in hexadecimal.
    """
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    signed = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
    signed |= {"host": host, "x-amz-content-sha256": body_sha256, "x-amz-date": stamp}
    if key.session_token is not None:
        signed["x-amz-security-token"] = key.session_token.get_secret_value()
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{body_sha256}"
    scope = f"{stamp[:8]}/{key.region}/s3/aws4_request"
    signature = _signature(key, stamp, scope, canonical)
    credential = f"Credential={key.access_key_id}/{scope}"
    return signed | {"authorization": f"{_ALGORITHM} {credential},SignedHeaders={names},Signature={signature}"}


def presigned_query(key: SigningKey, *, host: str, path: str, seconds: int, now: datetime) -> str:
    """Return the query of an address by which anybody can get the object of that path, for so many seconds.

    Source: "Authenticating Requests: Using Query Parameters" in the same reference; its example is a test.
    """
    stamp = f"{now:%Y%m%dT%H%M%SZ}"
    scope = f"{stamp[:8]}/{key.region}/s3/aws4_request"
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{key.access_key_id}/{scope}",
        "X-Amz-Date": stamp,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
    }
    if key.session_token is not None:
        query["X-Amz-Security-Token"] = key.session_token.get_secret_value()
    encoded = encoded_query(query)
    canonical = f"GET\n{path}\n{encoded}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
    return f"{encoded}&X-Amz-Signature={_signature(key, stamp, scope, canonical)}"


def _signature(key: SigningKey, stamp: str, scope: str, canonical: str) -> str:
    to_sign = "\n".join((_ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    return hmac.new(_derived(key, stamp[:8]), to_sign.encode(), hashlib.sha256).hexdigest()


def _derived(key: SigningKey, day: str) -> bytes:
    derived = f"AWS4{key.secret_access_key.get_secret_value()}".encode()
    for part in (day, key.region, "s3", "aws4_request"):
        derived = hmac.digest(derived, part.encode(), hashlib.sha256)
    return derived
