"""What a bucket lists, page after page: objects, versions, unfinished uploads, parts.

What must hold: a listing ends, whatever the service answers.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from daemon.stores.errors import StoreCutError
from daemon.stores.keys import check_folder, is_key
from daemon.stores.s3.answers import Page
from daemon.stores.s3.client import S3Client

A = TypeVar("A")

PAGE = 1000


class Listing:
    """Lists what is below `prefix` of a bucket."""

    def __init__(self, client: S3Client, prefix: str) -> None:
        self._client = client
        self._prefix = prefix

    def below(self, folder: str, most: str = "max-keys") -> dict[str, str]:
        """Return the query for what is in a folder; `most` is what the service calls the bound of a page."""
        return {"prefix": self._prefix + check_folder(folder), "encoding-type": "url", most: str(PAGE)}

    async def pages(
        self, what: str, key: str, query: Mapping[str, str], read: Callable[[bytes], Page[A]]
    ) -> AsyncGenerator[A, None]:
        """Yield everything of a listing, page by page; raises StoreCutError if a page leads back to an earlier one."""
        after: Mapping[str, str] | None = {}
        asked: set[tuple[str, ...]] = set()
        while after is not None:
            if tuple(after.values()) in asked:
                raise StoreCutError(f"{what}: the listing never ends")
            asked.add(tuple(after.values()))
            answer = await self._client.call(what, "GET", key, query={**query, **after})
            page = read(answer.body)
            for found in page.found:
                yield found
            after = page.after

    def is_ours(self, name: str) -> bool:
        """Return whether an object of the bucket can be one of this store."""
        return name.startswith(self._prefix) and is_key(name.removeprefix(self._prefix))


class MostPages:
    """Ends a listing after so many pages; then it is `cut`."""

    def __init__(self, most: int) -> None:
        self._left = most
        self.cut = False

    def counted(self, read: Callable[[bytes], Page[A]]) -> Callable[[bytes], Page[A]]:
        """Read a page as `read` does, and no further one behind the last."""

        def counting(body: bytes) -> Page[A]:
            page = read(body)
            self._left -= 1
            self.cut = page.after is not None and self._left == 0
            return replace(page, after=None) if self.cut else page

        return counting
