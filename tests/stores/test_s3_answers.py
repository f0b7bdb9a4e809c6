"""What a service may answer that SeaweedFS does not: made up here, and what the engine makes of it."""

import asyncio
import re
import ssl
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx
import pytest
import respx
from pydantic import SecretStr

from daemon.stores.base import Capability, Entry, Store, Traits
from daemon.stores.errors import (
    ObjectExistsError,
    ObjectLockedError,
    StoreCredentialsError,
    StoreCutError,
    StoreError,
    StoreFullError,
    StoreIdentityError,
    StorePermissionError,
    StoreRefusedError,
    StoreTroubleError,
    StoreUnreachableError,
    StoreUnusableError,
)
from daemon.stores.open import open_store
from daemon.stores.s3 import http, upload
from daemon.stores.s3.answers import lock_moment, lock_traits
from daemon.stores.values import BucketLocation, Credentials, StoreSettings
from tests.fakes import FakeClock
from tests.stores.places import content, keys, read
from tests.stores.services import program

pytestmark = pytest.mark.anyio

CREDENTIALS = Credentials(SecretStr("AKIAEXAMPLE"), SecretStr("secret-EXAMPLE"))
SETTINGS = StoreSettings(
    "offsite", BucketLocation("s3", "bucket", "p"), endpoint="https://s3.example.com", credentials=CREDENTIALS
)
ONE = "<Contents><Key>p/a</Key><Size>1</Size><LastModified>2026-04-01T04:00:00.000Z</LastModified></Contents>"
WHOLE = "<IsTruncated>false</IsTruncated>"
MORE = "<IsTruncated>true</IsTruncated><NextContinuationToken>x</NextContinuationToken>"
NO_LOCK = httpx.Response(404, text="<Error><Code>ObjectLockConfigurationNotFoundError</Code></Error>")
VERSIONED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
BEGUN = "<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
HEAD = {"content-length": "1", "last-modified": "Wed, 01 Apr 2026 04:00:00 GMT"}


def listing(inner: str) -> str:
    """A page of a listing."""
    return f'<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inner}</ListBucketResult>'


def error(code: str, message: str = "") -> str:
    """An error's body."""
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"


@pytest.fixture
async def store(clock: FakeClock) -> AsyncIterator[Store]:
    """A store at a service that answers as each test says."""
    async with open_store(SETTINGS, clock=clock) as opened:
        yield opened


@pytest.fixture
def service() -> Iterator[respx.Router]:
    """The service; its bucket has no locks and no versions."""
    with respx.mock(base_url="https://s3.example.com", assert_all_called=False) as router:
        router.get("/bucket/", params={"object-lock": ""}).mock(return_value=NO_LOCK)
        router.get("/bucket/", params={"versioning": ""}).respond(text="<VersioningConfiguration/>")
        yield router


@pytest.mark.parametrize(
    "body",
    [
        listing(ONE),
        listing(ONE + "<IsTruncated>true</IsTruncated>"),
        listing(ONE + "<IsTruncated>perhaps</IsTruncated>"),
        listing(ONE + WHOLE)[:-9],
        listing(ONE.replace("<Size>1", "<Size>-1") + WHOLE),
        listing(ONE.replace("<Key>p/a</Key>", "") + WHOLE),
        listing(ONE.replace("2026-04", "someday") + WHOLE),
        listing(ONE + MORE),
        f"<!DOCTYPE x [<!ENTITY y 'z'>]>{listing(ONE + WHOLE)}",
        f'<?xml version="1.0" encoding="utf-16"?>{listing(ONE + WHOLE)}'.encode("utf-16"),
        "<html><body>log in first</body></html>",
        "",
    ],
    ids=[
        "silent",
        "no token",
        "unclear",
        "cut",
        "size",
        "no key",
        "no moment",
        "endless",
        "entities",
        "utf-16",
        "html",
        "empty",
    ],
)
async def test_a_listing_that_may_be_cut_is_none(store: Store, service: respx.Router, body: str | bytes) -> None:
    """Not even in part, though the service calls it a success."""
    service.get("/bucket/", params={"list-type": "2"}).respond(content=body)
    with pytest.raises(StoreCutError):
        await store.list_all()


async def test_a_page_that_fails_fails_the_listing(store: Store, service: respx.Router) -> None:
    """The pages before it count for nothing."""
    pages = [httpx.Response(200, text=listing(ONE + MORE)), httpx.Response(403, text=error("AccessDenied"))]
    service.get("/bucket/", params={"list-type": "2"}).mock(side_effect=pages)
    with pytest.raises(StorePermissionError):
        await store.list_all()


async def test_what_is_not_ours_is_left_out(store: Store, service: respx.Router) -> None:
    """What a service lists from elsewhere, marks of folders, names that no key has."""
    names = ("p/b", "q/b", "p/folder/", "p/x%0Ay", "p//x", "p/c+d%2B")
    rows = "".join(ONE.replace("p/a", name) for name in names)
    service.get("/bucket/", params={"list-type": "2"}).respond(text=listing(rows + WHOLE))
    assert await keys(store) == ["b", "c d+"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (403, error("InvalidAccessKeyId"), StoreCredentialsError),
        (400, error("ExpiredToken"), StoreCredentialsError),
        (401, "", StoreCredentialsError),
        (403, error("AccessDenied"), StorePermissionError),
        (403, error("QuotaExceeded"), StoreFullError),
        (507, "", StoreFullError),
        (400, error("InvalidRequest", "because"), StoreRefusedError),
        (404, error("NoSuchBucket"), StoreRefusedError),
        (501, error("NotImplemented"), StoreRefusedError),
        (400, error("AuthorizationHeaderMalformed"), StoreUnusableError),
        (307, "", StoreUnusableError),
        (503, error("SlowDown"), StoreTroubleError),
        (400, error("RequestTimeout"), StoreTroubleError),
        (500, "<html>", StoreTroubleError),
        (429, "", StoreTroubleError),
    ],
)
async def test_each_refusal_is_told_as_what_it_is(
    store: Store, service: respx.Router, status: int, body: str, kind: type[StoreError]
) -> None:
    """By the service's own code first; only what may pass is transient, and no redirect is followed."""
    service.get("/bucket/", params={"list-type": "2"}).respond(
        status, text=body, headers={"location": "https://elsewhere.example.com/"}
    )
    with pytest.raises(StoreError) as raised:
        await store.list_all()
    assert type(raised.value) is kind or (kind, status) == (StoreRefusedError, 501)
    assert isinstance(raised.value, kind)
    assert raised.value.transient == (kind is StoreTroubleError)


async def test_a_bucket_elsewhere_says_where(store: Store, service: respx.Router) -> None:
    """What to write is in the hint."""
    service.get("/bucket/", params={"list-type": "2"}).respond(301, headers={"x-amz-bucket-region": "eu-west-3"})
    with pytest.raises(StoreUnusableError) as raised:
        await store.list_all()
    assert raised.value.hint == 'set region = "eu-west-3"'


async def test_what_may_pass_is_tried_again_as_the_service_asks(
    store: Store, service: respx.Router, clock: FakeClock
) -> None:
    """Four times in all, and never after a longer wait than ten seconds."""
    asked = [httpx.Response(503, headers={"retry-after": after}) for after in ("3", "9999", "Wed, 01 Apr")]
    service.get("/bucket/", params={"list-type": "2"}).mock(
        side_effect=[*asked, httpx.Response(200, text=listing(WHOLE))]
    )
    assert await store.list_all() == []
    assert clock.naps == [3, 10, 4]


async def test_words_of_the_service_cannot_move_a_cursor_or_fill_a_page(store: Store, service: respx.Router) -> None:
    """They are somebody else's."""
    body = error("Odd", "\u009b2J&#13;&#10;" + "x" * 9999)
    service.get("/bucket/", params={"list-type": "2"}).respond(400, text=body)
    with pytest.raises(StoreRefusedError) as raised:
        await store.list_all()
    assert re.search(r"[\x00-\x1f\x7f-\x9f]", raised.value.text) is None
    assert len(raised.value.text) < 300


async def test_an_answer_without_an_end_is_given_up(
    store: Store, service: respx.Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is held of it has a bound."""
    monkeypatch.setattr(http, "LARGEST_ANSWER", 1000)
    service.get("/bucket/", params={"list-type": "2"}).respond(text=listing(" " * 1000 + WHOLE))
    with pytest.raises(StoreTroubleError, match="more than 1000 bytes"):
        await store.list_all()


async def test_an_object_that_ends_early_is_cut(store: Store, service: respx.Router) -> None:
    """By the range that was asked for, and by the length that the service says."""
    get = service.get("/bucket/p/a")
    get.respond(206, content=b"123", headers={"content-length": "3"})
    with pytest.raises(StoreCutError, match="2 bytes before"):
        await read(store, "a", start=5, end=10)
    get.respond(200, content=b"123", headers={"content-length": "5"})
    with pytest.raises(StoreCutError):
        await read(store, "a")


async def test_a_service_that_ignores_a_range_is_not_read(store: Store, service: respx.Router) -> None:
    """Its first byte is not the one that was asked for."""
    service.get("/bucket/p/a").respond(200, content=b"12345")
    with pytest.raises(StoreTroubleError, match="sends the whole of it"):
        await read(store, "a", start=3)


async def test_a_download_that_cannot_begin_is_tried_again(store: Store, service: respx.Router) -> None:
    """Once it has begun it is not: whoever reads goes on with a range."""
    service.get("/bucket/p/a").mock(
        side_effect=[httpx.ConnectError("x"), httpx.Response(503), httpx.Response(200, content=b"12345")]
    )
    assert await read(store, "a") == b"12345"


class Written:
    """A service whose answer to the first PUT is lost; what the object carries is another's word unless it is ours."""

    def __init__(self, *, ours: bool) -> None:
        self.ours = ours
        self.word = ""

    def put(self, request: httpx.Request) -> httpx.Response:
        """Store it, and lose the answer; refuse it from then on, since it is there."""
        if self.word:
            return httpx.Response(412, text=error("PreconditionFailed"))
        assert request.headers["if-none-match"] == "*"
        self.word = request.headers["x-amz-meta-upload"]
        raise httpx.ReadError("lost")

    def head(self, request: httpx.Request) -> httpx.Response:
        """What is there."""
        if not self.word:
            return httpx.Response(404)
        return httpx.Response(200, headers={**HEAD, "x-amz-meta-upload": self.word if self.ours else "another"})


@pytest.mark.parametrize("ours", [True, False])
async def test_an_answer_that_was_lost_is_settled_by_a_look(store: Store, service: respx.Router, *, ours: bool) -> None:
    """What stands there is ours, or it is somebody else's and is left as it is."""
    written = Written(ours=ours)
    service.put("/bucket/p/a").mock(side_effect=written.put)
    service.head("/bucket/p/a").mock(side_effect=written.head)
    if ours:
        entry = await store.put("a", content(b"x"))
        assert entry == Entry("a", 1, datetime(2026, 4, 1, 4, tzinfo=UTC))
    else:
        with pytest.raises(ObjectExistsError):
            await store.put("a", content(b"x"))


async def test_a_service_without_the_condition_is_told_once_and_written_to_without(
    store: Store, service: respx.Router
) -> None:
    """The look before has to do; `check` can say so."""
    put = service.put("/bucket/p/a").mock(side_effect=[httpx.Response(501), httpx.Response(200)])
    service.head("/bucket/p/a").mock(side_effect=[httpx.Response(404), httpx.Response(200, headers=HEAD)])
    assert store.lacks == {}
    await store.put("a", content(b"x"))
    assert ["if-none-match" in call.request.headers for call in put.calls] == [True, False]
    assert Capability.ATOMIC_CREATE in store.lacks


async def test_a_service_that_stored_something_else_is_not_believed(store: Store, service: respx.Router) -> None:
    """What it says that it has must be what was sent."""
    service.put("/bucket/p/a").respond(200)
    service.head("/bucket/p/a").mock(side_effect=[httpx.Response(404), httpx.Response(200, headers=HEAD)])
    with pytest.raises(StoreTroubleError, match="has 1 bytes, and 3 were stored"):
        await store.put("a", content(b"123"))


@pytest.fixture
def parted(service: respx.Router) -> respx.Router:
    """A service that takes parts."""
    service.post("/bucket/p/a", params={"uploads": ""}).respond(text=BEGUN)
    service.head("/bucket/p/a").respond(404)
    service.put("/bucket/p/a", params={"uploadId": "u"}).respond(headers={"etag": '"e"'})
    return service


async def test_a_completion_that_failed_after_all_is_a_failure(store: Store, parted: respx.Router) -> None:
    """S3 says 200 before it knows; what was begun is removed."""
    parted.post("/bucket/p/a", params={"uploadId": "u"}).respond(text=error("InternalError"))
    abort = parted.delete("/bucket/p/a", params={"uploadId": "u"}).respond(204)
    with pytest.raises(StoreError, match="InternalError"):
        await store.put("a", content(bytes(9 * 2**20)))
    assert abort.call_count == 1


async def test_a_part_that_fails_ends_the_upload(store: Store, parted: respx.Router) -> None:
    """No more parts are sent than were on their way, and its error is the one that is raised."""
    part = parted.put("/bucket/p/a", params={"uploadId": "u"}).respond(403, text=error("AccessDenied"))
    abort = parted.delete("/bucket/p/a", params={"uploadId": "u"}).respond(403)
    with pytest.raises(StorePermissionError, match="a cannot be written"):
        await store.put("a", content(*[bytes(8 * 2**20)] * 9))
    assert part.call_count <= 4
    assert abort.call_count == 1


async def test_an_upload_that_is_cancelled_while_it_begins_is_aborted(store: Store, parted: respx.Router) -> None:
    """As soon as its id is known; nobody could find it by anything else."""
    asked, answered = asyncio.Event(), asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        asked.set()
        await answered.wait()
        return httpx.Response(200, text=BEGUN)

    parted.post("/bucket/p/a", params={"uploads": ""}).mock(side_effect=slow)
    abort = parted.delete("/bucket/p/a", params={"uploadId": "u"}).respond(204)
    writing = asyncio.create_task(store.put("a", content(bytes(9 * 2**20))))
    await asked.wait()
    writing.cancel()
    answered.set()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert abort.call_count == 1


async def test_an_object_of_too_many_parts_is_refused(
    store: Store, parted: respx.Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where its size was not known before."""
    monkeypatch.setattr(upload, "MOST_PARTS", 1)
    abort = parted.delete("/bucket/p/a", params={"uploadId": "u"}).respond(204)
    with pytest.raises(StoreRefusedError, match="more than 1 parts"):
        await store.put("a", content(bytes(17 * 2**20)))
    assert abort.call_count == 1


async def test_the_parts_are_large_enough_for_a_bound(store: Store, service: respx.Router) -> None:
    """Where the size is not known, and no part may be larger than another."""
    service.head("/bucket/p/a").mock(
        side_effect=[httpx.Response(404), httpx.Response(200, headers={**HEAD, "content-length": str(10 * 2**20)})]
    )
    service.post("/bucket/p/a", params={"uploads": ""}).respond(text=BEGUN)
    part = service.put("/bucket/p/a", params={"uploadId": "u"}).respond(headers={"etag": '"e"'})
    done = "<CompleteMultipartUploadResult/>"
    service.post("/bucket/p/a", params={"uploadId": "u"}).respond(text=done)
    await store.put("a", content(bytes(10 * 2**20)), at_most=80 * 2**30)
    assert sorted(int(call.request.headers["content-length"]) for call in part.calls) == [2**20, 9 * 2**20]


async def test_a_part_that_lies_in_a_file_is_sent_again(
    service: respx.Router, tmp_path: Path, clock: FakeClock
) -> None:
    """The same bytes under the same sum, though they are in no memory any more."""
    sent = [bytes([number]) * 2**20 for number in range(17)]
    whole = {**HEAD, "content-length": str(17 * 2**20)}
    service.head("/bucket/p/a").mock(side_effect=[httpx.Response(404), httpx.Response(200, headers=whole)])
    service.post("/bucket/p/a", params={"uploads": ""}).respond(text=BEGUN)
    first = service.put("/bucket/p/a", params={"partNumber": "1"}).mock(
        side_effect=[httpx.Response(503, text=error("SlowDown")), httpx.Response(200, headers={"etag": '"e"'})]
    )
    service.put("/bucket/p/a", params={"partNumber": "2"}).respond(headers={"etag": '"f"'})
    service.post("/bucket/p/a", params={"uploadId": "u"}).respond(text="<CompleteMultipartUploadResult/>")
    async with open_store(replace(SETTINGS, parts_in=tmp_path), clock=clock) as opened:
        await opened.put("a", content(*sent), at_most=147 * 2**30)
    assert [call.request.content == b"".join(sent[:16]) for call in first.calls] == [True, True]
    assert len({call.request.headers["x-amz-content-sha256"] for call in first.calls}) == 1


async def test_a_part_without_its_etag_is_no_part(store: Store, parted: respx.Router) -> None:
    """It could not be named in the end."""
    parted.put("/bucket/p/a", params={"uploadId": "u"}).respond(200)
    parted.delete("/bucket/p/a", params={"uploadId": "u"}).respond(204)
    with pytest.raises(StoreCutError, match="no ETag"):
        await store.put("a", content(bytes(9 * 2**20)))


async def test_a_lock_that_may_not_be_read_is_not_taken_for_none(store: Store, service: respx.Router) -> None:
    """Where the bucket may have locks and the key may not ask, that is said."""
    service.get("/bucket/", params={"object-lock": ""}).respond(403, text=error("AccessDenied"))
    service.get("/bucket/", params={"versioning": ""}).respond(text=VERSIONED)
    service.head("/bucket/p/a").respond(200, headers=HEAD)
    deleted = service.delete("/bucket/p/a").respond(204)
    details = await store.head("a")
    assert (details.locked_until, details.lock_known) == (None, False)
    assert await store.traits() == Traits(versioned=True)
    with pytest.raises(StorePermissionError, match="a may be locked") as raised:
        await store.delete("a")
    assert "s3:GetBucketObjectLockConfiguration" in str(raised.value.hint)
    assert not deleted.called


@pytest.mark.parametrize(
    ("locks", "versions"),
    [
        (httpx.Response(501, text=error("NotImplemented")), httpx.Response(403)),
        (httpx.Response(403), httpx.Response(200, text="<VersioningConfiguration/>")),
    ],
    ids=["a service without locks", "a bucket without versions"],
)
async def test_a_bucket_that_plainly_has_no_locks_is_not_asked_for_any(
    store: Store, service: respx.Router, locks: httpx.Response, versions: httpx.Response
) -> None:
    """Though its key may not ask for them."""
    service.get("/bucket/", params={"object-lock": ""}).mock(return_value=locks)
    service.get("/bucket/", params={"versioning": ""}).mock(return_value=versions)
    service.head("/bucket/p/a").respond(200, headers=HEAD)
    deleted = service.delete("/bucket/p/a").respond(204)
    await store.delete("a")
    assert deleted.called


async def test_a_lock_ends_by_the_services_clock(store: Store, service: respx.Router, clock: FakeClock) -> None:
    """Where ours turned out to be another: it runs 60 days ahead, and the lock has 30 to go."""
    true = clock.now()
    until = (true + timedelta(days=30)).isoformat()
    clock.start += timedelta(days=60)
    skewed = httpx.Response(
        403, text=error("RequestTimeTooSkewed"), headers={"date": format_datetime(true, usegmt=True)}
    )
    page = httpx.Response(200, text=listing(WHOLE))
    service.get("/bucket/", params={"list-type": "2"}).mock(side_effect=[skewed, page])
    service.head("/bucket/p/a").respond(200, headers={**HEAD, "x-amz-object-lock-retain-until-date": until})
    assert await store.list_all() == []
    with pytest.raises(ObjectLockedError):
        await store.delete("a")


async def test_a_lock_that_the_headers_do_not_show_is_asked_for(store: Store, service: respx.Router) -> None:
    """Where the bucket has locks; to a key that may not read them the headers show none."""
    enabled = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>"
    service.get("/bucket/", params={"object-lock": ""}).respond(text=enabled)
    service.head("/bucket/p/a").respond(200, headers=HEAD)
    body = "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>2026-05-01T00:00:00Z</RetainUntilDate></Retention>"
    asked = service.get("/bucket/p/a", params={"retention": ""}).respond(text=body)
    with pytest.raises(ObjectLockedError) as raised:
        await store.delete("a")
    assert raised.value.until == datetime(2026, 5, 1, tzinfo=UTC)
    asked.respond(403, text=error("AccessDenied"))
    for call in (store.head("a"), store.delete("a")):
        with pytest.raises(StorePermissionError, match="the lock of p/a cannot be read"):
            await call


async def test_an_object_that_is_held_stays(store: Store, service: respx.Router) -> None:
    """A legal hold has no end."""
    service.head("/bucket/p/a").respond(200, headers={**HEAD, "x-amz-object-lock-legal-hold": "ON"})
    with pytest.raises(ObjectLockedError, match="until its hold is lifted"):
        await store.delete("a")


@pytest.mark.parametrize(
    ("location", "region", "url"),
    [
        ("bucket", "eu-central-1", "https://bucket.s3.eu-central-1.amazonaws.com/"),
        ("bucket", None, "https://bucket.s3.us-east-1.amazonaws.com/"),
        ("dotted.bucket", "eu-central-1", "https://s3.eu-central-1.amazonaws.com/dotted.bucket/"),
        ("bucket", "cn-north-1", "https://bucket.s3.cn-north-1.amazonaws.com.cn/"),
    ],
)
async def test_without_an_endpoint_it_is_aws(clock: FakeClock, location: str, region: str | None, url: str) -> None:
    """With the bucket in the host's name, unless the certificate would not fit."""
    settings = StoreSettings("aws", BucketLocation("s3", location, ""), region=region, credentials=CREDENTIALS)
    with respx.mock:
        route = respx.get(url, params={"list-type": "2"}).respond(text=listing(WHOLE))
        async with open_store(settings, clock=clock) as store:
            assert await store.list_all() == []
        signed = route.calls.last.request.headers["authorization"]
    assert f"/{region or 'us-east-1'}/s3/aws4_request" in signed


@pytest.mark.parametrize(
    "endpoint",
    [
        "s3.example.com",
        "ftp://s3.example.com",
        "https://u:p@s3.example.com",
        "https://s3.example.com/path",
        "https://[",
        "",
    ],
)
async def test_an_endpoint_that_is_no_host_is_refused(endpoint: str) -> None:
    """Before anything is sent, and without repeating it: it may hold a password."""
    settings = StoreSettings("x", SETTINGS.location, endpoint=endpoint, credentials=CREDENTIALS)
    with pytest.raises(StoreUnusableError, match="x: endpoint is not the address of a host"):
        async with open_store(settings):
            pass


async def test_a_store_without_its_secrets_is_refused() -> None:
    """With the names of the keys that are missing."""
    with pytest.raises(StoreUnusableError, match="access_key_id or secret_access_key is missing"):
        async with open_store(StoreSettings("x", SETTINGS.location)):
            pass


async def test_a_certificate_that_is_not_believed_is_another_host(clock: FakeClock, tmp_path: Path) -> None:
    """It is said at once, and not tried again: nothing was sent to it."""
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-keyout", "key", "-out", "cert"]
    openssl = program("openssl", "apt-get install openssl")
    subprocess.run([openssl, *made], cwd=tmp_path, check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", ssl=context)
    async with server:
        endpoint = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with open_store(replace(SETTINGS, endpoint=endpoint), clock=clock) as store:
            with pytest.raises(StoreIdentityError, match="certificate that is not believed"):
                await store.list_all()
    assert clock.naps == []


async def test_a_service_that_does_not_answer_in_time_is_unreachable(store: Store, service: respx.Router) -> None:
    """As one that is not there."""
    service.get("/bucket/", params={"list-type": "2"}).mock(side_effect=httpx.ReadTimeout("x"))
    with pytest.raises(StoreUnreachableError, match="does not answer in time"):
        await store.list_all()


def test_a_lock_is_never_shorter_than_asked_for() -> None:
    """Its end is rounded up to the second."""
    moment = datetime(2026, 4, 1, 4, 0, 0, 1, tzinfo=UTC)
    assert lock_moment(moment) == "2026-04-01T04:00:01Z"
    assert lock_moment(moment.replace(microsecond=0)) == "2026-04-01T04:00:00Z"


def test_a_default_lock_is_read() -> None:
    """In days or in years."""

    def body(rule: str) -> bytes:
        enabled = "<ObjectLockEnabled>Enabled</ObjectLockEnabled>"
        return f"<ObjectLockConfiguration>{enabled}{rule}</ObjectLockConfiguration>".encode()

    rule = "<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><{0}>2</{0}></DefaultRetention></Rule>"
    assert lock_traits(body("")) == Traits(lockable=True)
    assert lock_traits(body(rule.format("Days"))).default_lock == timedelta(days=2)
    assert lock_traits(body(rule.format("Years"))).default_lock == timedelta(days=730)
