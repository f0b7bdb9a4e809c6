"""An object of many parts: begun, filled with a few parts at once, then completed under a condition, or aborted."""

import asyncio
from collections.abc import AsyncIterable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from daemon.stores.errors import StoreCutError, StoreError, StoreRefusedError
from daemon.stores.held import Part
from daemon.stores.s3.answers import completion, is_completed, upload_id
from daemon.stores.s3.client import S3Client
from daemon.stores.s3.refusal import refusal
from daemon.stores.sizes import MOST_PARTS, PART

COMPLETE_SECONDS = 600.0  # a service may put the parts together only now
ABORT_SECONDS = 60.0


class PartedUpload:
    """One upload. Leaving its context without `complete` aborts it, and leaves nothing of it in the service.

    At most so many parts are `held` at a time: those on their way, and the one that is being filled.
    """

    def __init__(self, client: S3Client, key: str, headers: Mapping[str, str], *, checked: bool, held: int) -> None:
        self._client = client
        self._key = key
        self._headers = headers
        self._checked = checked
        self._id = ""
        self._parts: list[asyncio.Task[str]] = []
        self._places = asyncio.Semaphore(held)
        self._done = False
        self.size = 0

    async def __aenter__(self) -> Self:
        """Begin the upload; if the task is cancelled meanwhile, the upload is aborted as soon as its id is known."""
        beginning = asyncio.ensure_future(self._begin())
        try:
            self._id = await asyncio.shield(beginning)
        except asyncio.CancelledError:
            with suppress(StoreError):
                self._id = await beginning
                await self._abort()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abort what was not completed; the first error is the one to tell."""
        for part in self._parts:
            part.cancel()
        await asyncio.gather(*self._parts, return_exceptions=True)
        if not self._done:
            with suppress(StoreError):
                await self._abort()

    async def fill(self, content: AsyncIterable[Part]) -> None:
        """Send the parts; the next one is not filled before there is a place for it."""
        parts = aiter(content)
        await self._places.acquire()
        while (part := await anext(parts, None)) is not None:
            if len(self._parts) == MOST_PARTS:
                raise StoreRefusedError(f"{self._key} has more than {MOST_PARTS} parts of {PART} bytes")
            self.size += len(part)
            self._parts.append(asyncio.create_task(self._send(len(self._parts) + 1, part)))
            del part  # it is the task's alone
            await self._places.acquire()
            self._raise_failed()
        await asyncio.gather(*self._parts)

    async def complete(self, condition: Mapping[str, str]) -> None:
        """Make the parts an object, under a condition that stands in a header."""
        what = f"{self._key} cannot be completed"
        answer = await self._client.call(
            what,
            "POST",
            self._key,
            query={"uploadId": self._id},
            headers=condition,
            body=completion(part.result() for part in self._parts),
            seconds=COMPLETE_SECONDS,
        )
        if not is_completed(answer.body):  # S3 answers 200 before it knows
            raise refusal(answer, what)
        self._done = True

    async def _begin(self) -> str:
        what = f"{self._key} cannot be begun"
        answer = await self._client.call(what, "POST", self._key, query={"uploads": ""}, headers=self._headers)
        return upload_id(answer.body)

    async def _send(self, number: int, content: Part) -> str:
        try:
            answer = await self._client.call(
                f"{self._key} cannot be written",
                "PUT",
                self._key,
                query={"uploadId": self._id, "partNumber": str(number)},
                body=content,
                checked=self._checked,
            )
        finally:
            self._places.release()
        if etag := answer.headers.get("etag"):
            return etag
        raise StoreCutError(f"{self._key} cannot be written: the service names no ETag for a part")

    def _raise_failed(self) -> None:
        """Raise what went wrong with an earlier part, rather than send more of them."""
        for part in self._parts:
            if part.done():
                part.result()

    async def _abort(self) -> None:
        what = f"the unfinished {self._key} cannot be removed"
        await self._client.call(what, "DELETE", self._key, query={"uploadId": self._id}, seconds=ABORT_SECONDS)
