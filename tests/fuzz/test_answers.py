"""Whatever a panel answers to whatever call: a value of the core or a PanelError, in bounded time and memory."""

import asyncio
import json
import tracemalloc
import zlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from daemon.core.brake import Brake
from daemon.core.keep import Keep
from daemon.core.model import Backup, Completeness, Listing, Scope, Server
from daemon.core.names import Ownership
from daemon.core.plan import plan
from daemon.core.retention import Retention
from daemon.documents.commands import About, listed, planned
from daemon.errors import BackupdError
from daemon.panel.client import PanelClient
from daemon.panel.errors import PanelError
from tests import captures
from tests.fakes import FakeClock
from tests.fuzz.mutate import anything, damaged, mutated
from tests.fuzz.support import KEY, examples, harmless
from tests.panel.stand_in import SERVER, UUID

Operation = Callable[[PanelClient], Awaitable[Any]]

OPERATIONS: dict[str, Operation] = {
    "servers": lambda client: client.servers(),
    "server": lambda client: client.server(SERVER),
    "backups": lambda client: client.backups(SERVER),
    "backup": lambda client: client.backup(SERVER, UUID),
    "link": lambda client: client.download_link(SERVER, UUID),
    "create": lambda client: client.create(SERVER, name="auto-1", ignored=["*.tmp"], locked=True),
    "settle": lambda client: client.settle_create(SERVER, "auto-1"),
    "lock": lambda client: client.set_lock(SERVER, UUID, locked=True),
    "restore": lambda client: client.restore(SERVER, UUID, truncate=True),
    "delete": lambda client: client.delete(SERVER, UUID),
}
RIGHT = {
    "servers": "001_client_root",
    "server": "007_server_view_ident",
    "backups": "016_list_default",
    "backup": "039_view_done",
    "link": "113_download_url",
    "create": "038_create_plain",
    "settle": "019_list_per_page_50",
    "lock": "108_lock_on",
    "restore": "084_throttle_429",
    "delete": "109_delete_locked",
}
MOST_REQUESTS = 700  # three passes over 200 pages, each asked for once, and some more
MOST_HOURS = 12

statuses = st.sampled_from(
    [200, 200, 200, 201, 202, 204, 206, 301, 302, 400, 401, 403, 404, 409, 422, 429, 500, 503, 504]
)
values = st.one_of(
    st.integers().map(str),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20),
    st.sampled_from(["0", "1", "-1", "1e9", "9" * 19, "9" * 5000, "inf", "gzip", "identity", "br", "gzip, gzip"]),
    st.sampled_from(
        ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 +1400", "Mon, 23 Nov 2026 06:55:14 GMT"]
    ),
)
NAMES = ["date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "content-type"]
headers = st.dictionaries(
    st.sampled_from([*NAMES, "content-encoding", "content-length", "location", "set-cookie"]), values
)


def right(operation: str) -> Any:
    """What a real panel answered to that call, or to its like."""
    document = captures.load(RIGHT[operation]).json
    return {**document, "data": document["data"][:3]} if "data" in document else document


def answer(status: int, content: bytes, given: dict[str, str]) -> httpx.Response:
    """The answer as it comes from a socket: not decoded yet."""
    raw = [(name.encode(), value.encode("latin-1")) for name, value in given.items()]
    return httpx.Response(status, headers=raw, stream=httpx.ByteStream(content))


def answered(operation: str, *replies: httpx.Response) -> Any:
    """What the client makes of these answers, the last of them for ever; it is held against what must always hold."""
    return asyncio.run(_answered(operation, *replies))


async def _answered(operation: str, *replies: httpx.Response) -> Any:
    clock, made = FakeClock(), iter(replies)
    last = [replies[-1]]

    def respond(request: httpx.Request) -> httpx.Response:
        reply = next(made, last[0])
        return httpx.Response(reply.status_code, headers=reply.headers, stream=reply.stream)

    transport = httpx.MockTransport(respond)
    async with PanelClient(
        "main", "https://panel.example.com", SecretStr(KEY), clock=clock, transport=transport
    ) as client:
        try:
            result = await OPERATIONS[operation](client)
        except PanelError as error:
            result = error
        client.panel_now()
    assert client.requests <= MOST_REQUESTS
    assert clock.elapsed <= MOST_HOURS * 3600
    check(result, clock.now())
    return result


def check(result: Any, now: datetime) -> None:
    """It is of a known kind, and can be judged, shown and stored."""
    match result:
        case BackupdError():
            text = f"{result.text} {result.hint}"
            assert harmless(text)
            assert "\n" not in text
            assert len(text) < 2000
            assert KEY not in text
            assert not isinstance(result.__context__ or result.__cause__, httpx.HTTPError)
        case Listing():
            judge(result)
        case Backup():
            judge(Listing((result,), 1, now, Completeness.COMPLETE))
        case Server():
            assert result.backup_limit >= 0
            assert isinstance(result.obstacle, str | None)
            json.dumps([result.name, result.node, result.description], ensure_ascii=False).encode()
        case tuple():
            for server in result:
                check(server, now)
        case _:
            assert result is None or isinstance(result, bool | SecretStr)


def judge(listing: Listing) -> None:
    """Every backup gets a verdict, and all of it can be written; a lock that is not plainly off holds."""
    retention = Retention(
        Keep.parse("last=1,daily=2,within=1y,within_weekly=3mo"), ZoneInfo("Europe/Berlin"), Scope.ALL
    )
    decided = plan(listing, retention, ownership=Ownership((), None), brake=Brake())
    about = About("survival")
    document = [planned(about, listing, decided), listed(about, listing, decided.verdicts)]
    json.dumps(document, ensure_ascii=False, allow_nan=False).encode()


@examples(50)
@given(operation=st.sampled_from(sorted(OPERATIONS)), status=statuses, content=st.binary(), given=headers)
@example("backups", 200, b"[" * 100_000, {})
@example("backups", 200, json.dumps(right("backups")).encode(), {"date": "Fri, 31 Dec 9999 23:59:59 GMT"})
@example("backups", 200, json.dumps(right("backups")).encode(), {"date": "Mon, 01 Jan 0001 00:00:00 +0000"})
@example("server", 429, b"", {"retry-after": "9" * 19})
@example("server", 200, b"{}", {"x-ratelimit-limit": "1", "x-ratelimit-remaining": "0"})
def test_any_bytes_with_any_headers(operation: str, status: int, content: bytes, given: dict[str, str]) -> None:
    """Of any status."""
    answered(operation, answer(status, content, given))


@examples(50)
@given(operation=st.sampled_from(sorted(OPERATIONS)), data=st.data(), given=headers)
def test_a_right_answer_that_was_damaged_on_its_way(operation: str, data: st.DataObject, given: dict[str, str]) -> None:
    """Cut, overwritten or doubled."""
    content = data.draw(damaged(json.dumps(right(operation)).encode()))
    answered(operation, answer(200, content, given))


@examples(120)
@given(operation=st.sampled_from(sorted(OPERATIONS)), data=st.data(), status=statuses, given=headers)
def test_a_right_answer_that_is_wrong_in_a_few_places(
    operation: str, data: st.DataObject, status: int, given: dict[str, str]
) -> None:
    """Any value anywhere, and then other answers, wrong in other places."""
    documents = [data.draw(mutated(right(operation))) for _ in range(data.draw(st.integers(1, 3)))]
    answered(operation, *(answer(status, json.dumps(changed).encode(), given) for changed in documents))


@examples(50)
@given(operation=st.sampled_from(sorted(OPERATIONS)), content=anything, status=statuses)
def test_any_json(operation: str, content: Any, status: int) -> None:
    """Of whatever shape."""
    answered(operation, answer(status, json.dumps(content).encode(), {}))


@examples(40)
@given(
    operation=st.sampled_from(sorted(OPERATIONS)),
    data=st.data(),
    status=st.sampled_from([400, 403, 404, 409, 422, 429, 500]),
)
def test_an_error_that_is_wrong_in_a_few_places(operation: str, data: st.DataObject, status: int) -> None:
    """Its words reach the operator, and its commands no terminal."""
    error = captures.load("057_create_name_192_422").json
    answered(operation, answer(status, json.dumps(data.draw(mutated(error))).encode(), {}))


def test_nesting_of_any_depth() -> None:
    """A row may hold as much as can be read, and an answer too."""
    for depth in (10, 100, 300, 500, 700, 800, 900, 940, 960, 970, 980, 990, 1000, 100_000):
        deep = "[" * depth + "]" * depth
        page = f'{{"object": "list", "data": [{deep}], "meta": {{"pagination": {{"total": 1}}}}}}'
        for operation in ("backups", "servers", "backup", "server", "create", "delete", "link"):
            field = json.dumps(right(operation)).replace('"checksum": null', f'"checksum": {deep}')
            for text in (deep, page, field.replace('"uuid": "', f'"uuid": {deep}, "": "')):
                answered(operation, answer(200, text.encode(), {}))


def test_pages_without_end() -> None:
    """Each full of new rows, and `total` growing, or said to be beyond all measure."""
    for total in (None, 2**63 - 1, 10**30):
        number = iter(range(10**9))

        def page(total: int | None = total, number: Any = number) -> httpx.Response:
            rows = [
                dict(row, attributes={**row["attributes"], "uuid": f"{next(number):08}"})
                for row in right("backups")["data"]
            ]
            meta = {"pagination": {"total": total}}
            return answer(200, json.dumps({"object": "list", "data": rows, "meta": meta}).encode(), {})

        listing = answered("backups", *(page() for _ in range(MOST_REQUESTS)))
        assert isinstance(listing, Listing)
        assert listing.completeness.value != "complete"


def bomb(layers: int) -> bytes:
    """100 MiB of zeros in gzip, and that in gzip again for every further layer."""
    content = _zipped(b"\0" * 2**20, 100)
    for _ in range(layers - 1):
        content = _zipped(content, 1)
    return content


def _zipped(content: bytes, times: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(content) for _ in range(times)) + packer.flush()


def test_a_small_answer_that_unpacks_to_a_large_one() -> None:
    """gzip in gzip in gzip: refused before it fills the memory."""
    for layers in (1, 2, 3):
        packed, encoding = bomb(layers), ", ".join(["gzip"] * layers)
        for operation in ("backups", "create"):
            tracemalloc.start()
            result = answered(operation, answer(200, packed, {"content-encoding": encoding}))
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert isinstance(result, PanelError)
            assert peak < 64 * 2**20


def test_an_answer_without_end() -> None:
    """No further than is sensible is it read."""

    async def endless() -> Any:
        while True:
            yield b" " * 65536

    class Stream(httpx.AsyncByteStream):
        def __aiter__(self) -> Any:
            return endless()

    for operation in ("backups", "create"):
        result = answered(operation, httpx.Response(200, stream=Stream()))
        assert "larger than 16 MiB" in result.text
