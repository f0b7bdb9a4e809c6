"""The signature, by the examples of Amazon's own reference for S3."""

from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from daemon.stores.s3.sign import EMPTY_SHA256, SigningKey, encoded_path, encoded_query, presigned_query, signed_headers

KEY = SigningKey("AKIAIOSFODNN7EXAMPLE", SecretStr("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "us-east-1")
HOST = "examplebucket.s3.amazonaws.com"
NOW = datetime(2013, 5, 24, tzinfo=UTC)
PUT_SHA256 = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "signature"),
    [
        (
            "GET",
            "/test.txt",
            {},
            {"Range": "bytes=0-9"},
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            "PUT",
            "/test$file.text",
            {},
            {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            "GET",
            "/",
            {"lifecycle": ""},
            {},
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            "GET",
            "/",
            {"prefix": "J", "max-keys": "2"},
            {},
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["get object", "put object", "get bucket lifecycle", "get bucket (list objects)"],
)
def test_a_request_is_signed_as_amazon_signs_it(
    method: str, path: str, query: dict[str, str], headers: dict[str, str], signature: str
) -> None:
    """To the last letter."""
    signed = signed_headers(
        KEY,
        method,
        host=HOST,
        path=encoded_path(path),
        query=encoded_query(query),
        headers=headers,
        body_sha256=PUT_SHA256 if method == "PUT" else EMPTY_SHA256,
        now=NOW,
    )
    names = sorted([*(name.lower() for name in headers), "host", "x-amz-content-sha256", "x-amz-date"])
    assert signed["authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        f"SignedHeaders={';'.join(names)},Signature={signature}"
    )


def test_a_session_token_is_sent_and_signed() -> None:
    """As temporary keys demand."""
    key = SigningKey("AKIAEXAMPLE", SecretStr("x"), "eu-central-1", SecretStr("token-EXAMPLE"))
    signed = signed_headers(key, "GET", host=HOST, path="/", query="", headers={}, body_sha256=EMPTY_SHA256, now=NOW)
    assert signed["x-amz-security-token"] == "token-EXAMPLE"
    assert "x-amz-security-token" in signed["authorization"]


def test_all_but_unreserved_letters_are_encoded_once() -> None:
    """In a path, slashes stay; in a query, nothing does."""
    assert encoded_path("/a b/ü+%/~._-") == "/a%20b/%C3%BC%2B%25/~._-"
    assert encoded_query({"b": "x/y z", "a": ""}) == "a=&b=x%2Fy%20z"


def test_an_address_is_signed_as_amazon_signs_it() -> None:
    """By the reference's own example; whoever has it gets the object until it expires."""
    query = presigned_query(KEY, host=HOST, path="/test.txt", seconds=86400, now=NOW)
    assert query == (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2F"
        "aws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    )
