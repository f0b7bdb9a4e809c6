"""What the service's XML says, as values, and the two documents that we send. Pure.

An answer is hostile input: one with a document type is not read (entities), what is no XML of the expected kind was
cut, and a listing that does not say that it is whole is none.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar
from urllib.parse import unquote_plus
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from daemon.core.units import read_rfc3339
from daemon.stores.base import Traits
from daemon.stores.errors import StoreCutError

T = TypeVar("T")

_DAYS = {"Days": 1, "Years": 365}


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as a listing has it, with the bucket's own key."""

    key: str
    size: int
    modified: datetime


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload of many parts that was begun and not completed."""

    key: str
    id: str
    begun: datetime


@dataclass(frozen=True, slots=True)
class Parts:
    """One page of an upload's parts: their bytes together, and when the last of them came."""

    size: int
    changed: datetime | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of something; `after` are the parameters that ask for the next one, None where this was the last."""

    found: list[T]
    after: Mapping[str, str] | None


def error_words(body: bytes) -> tuple[str, str]:
    """Return the code and the message of an error; empty where the body is none."""
    try:
        root = _root(body, "Error")
    except StoreCutError:
        return "", ""
    return _text(root, "Code"), _text(root, "Message")


def objects(body: bytes) -> Page[Listed]:
    """Return a page of ListObjectsV2, asked for with encoding-type=url."""
    root = _root(body, "ListBucketResult")
    found = [
        Listed(unquote_plus(_needed(each, "Key")), _number(each, "Size"), _moment(_needed(each, "LastModified")))
        for each in root.iter("Contents")
    ]
    return Page(found, _after(root, {"NextContinuationToken": "continuation-token"}))


def older_versions(body: bytes) -> Page[Listed]:
    """Return a page of ListObjectVersions, asked for with encoding-type=url: what is not the newest of its name."""
    root = _root(body, "ListVersionsResult")
    found = [
        Listed(unquote_plus(_needed(each, "Key")), _number(each, "Size"), _moment(_needed(each, "LastModified")))
        for each in root.iter("Version")
        if _needed(each, "IsLatest").lower() != "true"
    ]
    after = _after(root, {"NextKeyMarker": "key-marker", "NextVersionIdMarker": "version-id-marker"})
    return Page(found, after and {**after, "key-marker": unquote_plus(after["key-marker"])})


def uploads(body: bytes) -> Page[Upload]:
    """Return a page of ListMultipartUploads, asked for with encoding-type=url."""
    root = _root(body, "ListMultipartUploadsResult")
    found = [
        Upload(unquote_plus(_needed(each, "Key")), _needed(each, "UploadId"), _moment(_needed(each, "Initiated")))
        for each in root.iter("Upload")
    ]
    after = _after(root, {"NextKeyMarker": "key-marker", "NextUploadIdMarker": "upload-id-marker"})
    return Page(found, after and {**after, "key-marker": unquote_plus(after["key-marker"])})


def parts(body: bytes) -> Page[Parts]:
    """Return a page of ListParts, summed up."""
    root = _root(body, "ListPartsResult")
    each = list(root.iter("Part"))
    size = sum(_number(part, "Size") for part in each)
    changed = max((_moment(_needed(part, "LastModified")) for part in each), default=None)
    return Page([Parts(size, changed)], _after(root, {"NextPartNumberMarker": "part-number-marker"}))


def upload_id(body: bytes) -> str:
    """Return the id of an upload that was just begun."""
    return _needed(_root(body, "InitiateMultipartUploadResult"), "UploadId")


def is_completed(body: bytes) -> bool:
    """Return whether the answer to a completion, which is a success by its status in any case, says that it is one."""
    try:
        _root(body, "CompleteMultipartUploadResult")
    except StoreCutError:
        return False
    return True


def versioned(body: bytes) -> bool:
    """Return whether a bucket keeps what is deleted; one that stopped to do so still has the old versions."""
    return _text(_root(body, "VersioningConfiguration"), "Status") == "Enabled"


def lock_traits(body: bytes) -> Traits:
    """Return what a bucket's ObjectLockConfiguration says."""
    root = _root(body, "ObjectLockConfiguration")
    lockable = _text(root, "ObjectLockEnabled") == "Enabled"
    days = sum(_number(root, f".//{unit}") * days for unit, days in _DAYS.items() if _text(root, f".//{unit}"))
    return Traits(lockable=lockable, default_lock=timedelta(days=days) if days else None)


def retention(body: bytes) -> datetime | None:
    """Return until when an object is retained."""
    text = _text(_root(body, "Retention"), "RetainUntilDate")
    return _moment(text) if text else None


def completion(etags: Iterable[str]) -> bytes:
    """Return the document that completes an upload, given the ETags of its parts in their order."""
    rows = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    return f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>".encode()


def retention_wanted(mode: str, until: datetime) -> bytes:
    """Return the document that locks an object."""
    return f"<Retention><Mode>{mode}</Mode><RetainUntilDate>{lock_moment(until)}</RetainUntilDate></Retention>".encode()


def lock_moment(until: datetime) -> str:
    """Return the end of a lock as the service takes it, never earlier than asked: to the second, rounded up."""
    rounded = until.astimezone(UTC) + timedelta(microseconds=-until.microsecond % 10**6)
    return f"{rounded:%Y-%m-%dT%H:%M:%SZ}"


def header_moment(text: str) -> datetime:
    """Return a header's moment, in HTTP's form, or in ISO 8601 as in a lock; raises StoreCutError for any other."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except ValueError:
        return _moment(text)


def _after(root: ET.Element, names: Mapping[str, str]) -> dict[str, str] | None:
    """Return the parameters for the next page; None where the service says that this was the last one."""
    match _text(root, "IsTruncated").lower():
        case "false":
            return None
        case "true":
            return {parameter: _needed(root, name) for name, parameter in names.items()}
    raise StoreCutError("the listing does not say whether it is whole")


def _root(body: bytes, tag: str) -> ET.Element:
    """Given XML, return its root, all names without their namespaces."""
    try:
        text = body.decode()  # in no other encoding, where what is looked for next would look otherwise
        if "<!DOCTYPE" in text:
            raise StoreCutError("the service's answer is not S3's")
        root = ET.fromstring(text)  # noqa: S314 — without a document type there are no entities to blow up
    except (UnicodeDecodeError, ET.ParseError):
        raise StoreCutError("the service's answer was cut, or is not S3's") from None
    for each in root.iter():
        each.tag = each.tag.rpartition("}")[2]
    if root.tag != tag:
        raise StoreCutError(f"the service's answer is no {tag}")
    return root


def _text(element: ET.Element, name: str) -> str:
    return (element.findtext(name) or "").strip()


def _needed(element: ET.Element, name: str) -> str:
    text = element.findtext(name)
    if not text:
        raise StoreCutError(f"the service's answer lacks {name}")
    return text


def _number(element: ET.Element, name: str) -> int:
    text = _needed(element, name)
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise StoreCutError(f"the service's answer has a {name} that is no number")
    return int(text)


def _moment(text: str) -> datetime:
    try:
        return read_rfc3339(text)
    except ValueError:
        raise StoreCutError("the service's answer has a time that cannot be read") from None
