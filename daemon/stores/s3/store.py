"""The engine for S3: the contract, by calls to one bucket.

Each object of ours carries a random word in its metadata, made up for its upload. Where an answer was lost, and the
next try is refused since something has the name, that word says whether it is our own (`_under_condition`).
"""

import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from types import MappingProxyType

from pydantic import SecretStr

from daemon.clock import Clock
from daemon.stores.base import Capability, Details, Entry, OlderVersions, Traits, Unfinished, of_size
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectLockedError,
    ObjectMissingError,
    StoreCutError,
    StoreError,
    StorePermissionError,
    StoreTroubleError,
)
from daemon.stores.held import Part, parts_of
from daemon.stores.keys import check_key
from daemon.stores.s3 import answers
from daemon.stores.s3.answers import Upload
from daemon.stores.s3.client import S3Client
from daemon.stores.s3.http import Answer
from daemon.stores.s3.listing import PAGE, Listing, MostPages
from daemon.stores.s3.locks import BucketLocks, lock_headers
from daemon.stores.s3.refusal import BeyondError, UnsupportedError
from daemon.stores.s3.upload import PartedUpload
from daemon.stores.sizes import part_size
from daemon.stores.streams import RateLimit, exactly, with_first

Write = Callable[[Mapping[str, str]], Awaitable[None]]

MOST_VERSION_PAGES = 10
_WORD = "x-amz-meta-upload"
_CONDITION = MappingProxyType({"if-none-match": "*"})
_MAY_ASK = "give the store's key s3:GetBucketObjectLockConfiguration, s3:GetObjectRetention and s3:GetObjectLegalHold"


class S3Store:
    """A store below `prefix` ("" or "a/b/") of a bucket. Parts that are too large for memory are held in `parts_in`."""

    def __init__(
        self,
        name: str,
        client: S3Client,
        prefix: str,
        limit: RateLimit,
        clock: Clock,
        *,
        parts_in: Path | None = None,
    ) -> None:
        self._name = name
        self._client = client
        self._prefix = prefix
        self._limit = limit
        self._clock = clock
        self._parts_in = parts_in
        self._locks = BucketLocks(name, client)
        self._listing = Listing(client, prefix)
        self._condition: Mapping[str, str] = _CONDITION

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """Nothing, unless a service turned out not to know the condition; whether a bucket can lock is a trait."""
        reason = "the service knows no condition that nothing has the name"
        return {} if self._condition else {Capability.ATOMIC_CREATE: reason}

    async def put(
        self,
        key: str,
        content: AsyncIterable[bytes],
        *,
        size: int | None = None,
        at_most: int | None = None,
        lock_until: datetime | None = None,
    ) -> Entry:
        """Send it in one request, or in parts where it is larger than one."""
        await self._refuse_taken(check_key(key))
        word = secrets.token_hex(8)
        headers = {_WORD: word} | lock_headers(lock_until)
        checked = lock_until is not None or await self._locks.possible() is not False
        most = part_size(at_most if size is None else size)
        parts, held = await parts_of(exactly(self._limit.over(content), size), most, self._parts_in)
        async with aclosing(parts):
            first = await anext(parts, b"")
            if len(first) < most:
                sent = await self._put_whole(key, first, word, headers, checked=checked)
            else:
                upload = PartedUpload(self._client, self._prefix + key, headers, checked=checked, held=held)
                every = with_first([first], parts)
                del first  # it is held once, by what sends it
                sent = await self._put_parts(key, every, word, upload)
        return await self._stored(key, sent)

    async def get(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Read the object, or a range of it."""
        name, what = self._prefix + check_key(key), f"{self._name}: {key} cannot be read"
        if end is not None and end <= start:
            return
        ranged = start > 0 or end is not None
        headers = {"range": f"bytes={start}-{'' if end is None else end - 1}"} if ranged else {}
        try:
            async with self._client.download(what, name, headers) as body:
                left = _length(body.answer, what, end - start if end is not None else None, ranged=ranged)
                async for piece in self._limit.over(body.pieces):
                    left -= len(piece)
                    yield piece
        except BeyondError:
            failure = StoreCutError(f"{what}: it ends before byte {start}")
            raise failure from None
        if left:
            raise StoreCutError(f"{what}: it ends {left} bytes before it should")

    def link(self, key: str, seconds: int) -> SecretStr:
        """Return a signed URL of the object."""
        return self._client.link(self._prefix + check_key(key), seconds)

    async def list_all(self, folder: str = "") -> list[Entry]:
        """Ask for page after page."""
        what = f"{self._name} cannot be listed"
        query = {"list-type": "2"} | self._listing.below(folder)
        found = [
            Entry(listed.key.removeprefix(self._prefix), listed.size, listed.modified)
            async for listed in self._listing.pages(what, "", query, answers.objects)
            if self._listing.is_ours(listed.key)
        ]
        return sorted(found, key=lambda entry: entry.key)

    async def head(self, key: str) -> Details:
        """Ask for the object's headers; for its lock too, where the headers leave open whether there is one."""
        what = f"{self._name}: {key} cannot be looked at"
        answer = await self._client.call(what, "HEAD", self._prefix + check_key(key))
        return Details(_entry(key, answer), *await self._locks.of(self._prefix + key, answer))

    async def delete(self, key: str) -> None:
        """Delete the object, unless it is locked: its bucket would hide it, and still keep it as an older version.

        A key that may not look whether it is locked may not delete it either (StorePermissionError).
        """
        try:
            self._refuse_locked(await self.head(key))
        except ObjectMissingError:
            return
        await self._client.call(f"{self._name}: {key} cannot be deleted", "DELETE", self._prefix + key)

    async def unfinished(self, folder: str = "") -> list[Unfinished]:
        """Ask for uploads that were not completed, and for the parts of each."""
        what = f"{self._name} cannot be asked for unfinished uploads"
        query = {"uploads": ""} | self._listing.below(folder, "max-uploads")
        found = [
            upload
            async for upload in self._listing.pages(what, "", query, answers.uploads)
            if self._listing.is_ours(upload.key)
        ]
        return [await self._begun(upload) for upload in found]

    async def clear(self, begun: Unfinished) -> bool:
        """Abort the upload, unless a part came since."""
        check_key(begun.key)
        try:
            if await self._look_at_parts(begun.key, begun.id, begun.changed) != begun:
                return False
            what = f"{self._name}: the unfinished {begun.key} cannot be removed"
            await self._client.call(what, "DELETE", self._prefix + begun.key, query={"uploadId": begun.id})
        except ObjectMissingError:
            return False
        return True

    async def lock(self, key: str, until: datetime) -> None:
        """Extend the object's retention."""
        await self._locks.extend(self._prefix + check_key(key), until)

    async def traits(self) -> Traits:
        """Ask what the bucket's owner set up."""
        return await self._locks.traits()

    async def older_versions(self) -> OlderVersions:
        """Ask for the versions of all objects, up to ten pages of them."""
        what = f"{self._name}: older versions cannot be listed"
        query, pages = {"versions": ""} | self._listing.below(""), MostPages(MOST_VERSION_PAGES)
        found = [one async for one in self._listing.pages(what, "", query, pages.counted(answers.older_versions))]
        return OlderVersions(len(found), sum(one.size for one in found), not pages.cut)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    def _refuse_locked(self, details: Details) -> None:
        """Refuse what is locked by the service's own clock, as far as that is known, and what may be locked."""
        key, until = details.entry.key, details.locked_until
        if details.held or (until and until > self._client.now()):
            end = until or "its hold is lifted"
            raise ObjectLockedError(f"{self._name}: {key} is locked until {end}", until=until)
        if not details.lock_known:
            text = f"{self._name}: {key} may be locked, so it is not deleted: this key may not ask its bucket"
            raise StorePermissionError(text, hint=_MAY_ASK)

    async def _refuse_taken(self, key: str) -> None:
        """Look before all of it is sent; a key that may not look is refused by the condition, at the end."""
        try:
            await self._client.call(f"{self._name}: {key} cannot be looked at", "HEAD", self._prefix + key)
        except (ObjectMissingError, StorePermissionError):
            return
        raise ObjectExistsError(f"{self._name}: {key} is there already")

    async def _put_whole(self, key: str, body: Part, word: str, headers: Mapping[str, str], *, checked: bool) -> int:
        what, name = f"{self._name}: {key} cannot be written", self._prefix + key

        async def send(condition: Mapping[str, str]) -> None:
            await self._client.call(what, "PUT", name, headers={**headers, **condition}, body=body, checked=checked)

        await self._under_condition(key, word, send)
        return len(body)

    async def _put_parts(self, key: str, parts: AsyncIterable[Part], word: str, begun: PartedUpload) -> int:
        async with begun as upload:
            await upload.fill(parts)
            await self._under_condition(key, word, upload.complete)
        return upload.size

    async def _under_condition(self, key: str, word: str, write: Write) -> None:
        """Write where nothing has the name; a look settles a refusal, since an earlier try may have been done."""
        try:
            try:
                await write(self._condition)
            except UnsupportedError:
                if not self._condition:
                    raise
                self._condition = {}
                await write(self._condition)
        except StoreError:
            if not await self._carries(key, word):
                raise

    async def _carries(self, key: str, word: str) -> bool:
        """Return whether the object carries this word, so that it is our own upload's."""
        try:
            answer = await self._client.call(f"{self._name}: {key} cannot be looked at", "HEAD", self._prefix + key)
        except StoreError:
            return False
        return answer.headers.get(_WORD) == word

    async def _stored(self, key: str, size: int) -> Entry:
        """Look at what was stored; a key that may only put has nothing but the service's word for it."""
        try:
            answer = await self._client.call(f"{self._name}: {key} cannot be looked at", "HEAD", self._prefix + key)
        except StorePermissionError:
            return Entry(key, size, self._clock.now())
        return of_size(_entry(key, answer), size, self._name)

    async def _begun(self, upload: Upload) -> Unfinished:
        return await self._look_at_parts(upload.key.removeprefix(self._prefix), upload.id, upload.begun)

    async def _look_at_parts(self, key: str, upload_id: str, begun: datetime) -> Unfinished:
        """Return what has come of an upload; `begun` is its moment where nothing has. Raises ObjectMissingError if it
        is gone.
        """
        what = f"{self._name}: the parts of {key} cannot be listed"
        query = {"uploadId": upload_id, "max-parts": str(PAGE)}
        pages = [page async for page in self._listing.pages(what, self._prefix + key, query, answers.parts)]
        moments = [page.changed for page in pages if page.changed]
        return Unfinished(key, upload_id, sum(page.size for page in pages), max(moments, default=begun))


def _entry(key: str, answer: Answer) -> Entry:
    modified = answers.header_moment(answer.headers.get("last-modified", ""))
    return Entry(key, _number(answer.headers.get("content-length", "")), modified)


def _length(answer: Answer, what: str, wanted: int | None, *, ranged: bool) -> int:
    """Return how many bytes are to come, given how many are wanted (None: up to the end)."""
    if ranged and answer.status != HTTPStatus.PARTIAL_CONTENT:
        raise StoreTroubleError(f"{what}: the service sends the whole of it, and a part was asked for")
    return _number(answer.headers.get("content-length", "")) if wanted is None else wanted


def _number(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise StoreCutError("the service does not say how large the object is")
    return int(text)
