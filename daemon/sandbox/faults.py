"""The faults that can be ordered, one function each; see `orders` for how."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from daemon.sandbox.answers import PanelRefusal, SandboxAnswer, html_answer, json_answer, node_trouble, redirect_answer
from daemon.sandbox.orders import Fault, Loss

if TYPE_CHECKING:
    from daemon.sandbox.world import World

REQUEST_ID = "00000000-0000-4000-8000-00000000fa17"


# Instead of processing ----------------------------------------------------------------------------------------------


def refused(
    status: int = 500, code: str = "HttpException", detail: str = "Ordered.", retry_after: str | None = None
) -> Fault:
    """Any refusal in the panel's own form; `retry_after` as it is to stand in the header."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    refusal = PanelRefusal(status, code, detail, headers=headers)
    return Fault(f"refused {status} {code}", processed=False, answer=refusal.answer(wants_json=True, base_url=""))


def api_limit(retry_after: str | None = "60") -> Fault:
    """429 of the API limit, which holds for every server of the user."""
    return replace(refused(429, "ThrottleRequestsException", "Too Many Attempts.", retry_after), name="api_limit")


def creation_throttle(retry_after: str | None = "599") -> Fault:
    """429 of the creation throttle, which holds for one server."""
    detail = "Only 2 backups may be generated within a 600 second span of time."
    return replace(refused(429, "TooManyRequestsHttpException", detail, retry_after), name="creation_throttle")


def node_error(status: int = 500) -> Fault:
    """Return a fault: the node's trouble, passed on by the panel; nothing is recorded."""
    answer = node_trouble(status, REQUEST_ID).answer(wants_json=True, base_url="")
    return Fault(f"node_error {status}", processed=False, answer=answer)


def web_page(status: int = 502) -> Fault:
    """HTML from the web server before the panel."""
    title = {502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Time-out"}.get(status, "Error")
    return Fault(f"web_page {status}", processed=False, answer=html_answer(status, title))


def redirected(location: str = "http://elsewhere.invalid/") -> Fault:
    """302 to another place."""
    return Fault("redirected", processed=False, answer=redirect_answer(location))


def odd(document: object = None) -> Fault:
    """200 with JSON of any other form."""
    return Fault("odd", processed=False, answer=json_answer(document))


def huge(size: int = 64 * 1024 * 1024) -> Fault:
    """200 with a JSON text that is far too long."""
    return Fault("huge", processed=False, answer=SandboxAnswer(200, b'"' + b"x" * size + b'"'))


def lost_before() -> Fault:
    """Return a fault: the connection breaks before the call is processed; nothing is done."""
    return Fault("lost_before", processed=False, loss=Loss.SILENT)


# After processing ---------------------------------------------------------------------------------------------------


def lost_after() -> Fault:
    """Return a fault: the call is processed, and its answer lost."""
    return Fault("lost_after", loss=Loss.SILENT)


def error_after(status: int = 500, *, page: bool = False) -> Fault:
    """Return a fault: the call is processed, and answered with an error: in the panel's own form, or as a page of the
    web server.
    """
    answered = web_page(status) if page else refused(status)
    return replace(answered, name=f"error_after {status}", processed=True)


def database_locked() -> Fault:
    """To a DELETE: the node has removed the file, and the panel's SQLite is locked when the row is to go."""
    return Fault("database_locked", forgetful=True)


def cut() -> Fault:
    """Return a fault: the call is processed, and the connection ends in the middle of the body."""
    return Fault("cut", loss=Loss.CUT)


def reset() -> Fault:
    """Return a fault: the call is processed, and the connection is reset in the middle of the body."""
    return Fault("reset", loss=Loss.RESET)


def token_refused() -> Fault:
    """Return a fault: to a websocket, the node does not take the token."""
    return Fault("token_refused", processed=False)


def slow(seconds: float = 20.0) -> Fault:
    """Return a fault: the call is processed at once, and its answer comes late."""
    return Fault("slow", after=seconds)


def late(seconds: float = 20.0) -> Fault:
    """Return a fault: the call is processed late, and answered at once."""
    return Fault("late", before=seconds)


def job() -> Fault:
    """Return a fault: what forks that work by jobs answer to create, restore and delete, before it is done."""

    def as_job(_answer: SandboxAnswer) -> SandboxAnswer:
        document = {"job_id": REQUEST_ID, "status": "pending", "message": "The backup job has been queued."}
        return json_answer(document, 202)

    return Fault("job", change=as_job)


def half_json() -> Fault:
    """Return a fault: a sound HTTP answer whose JSON text ends in the middle."""
    return Fault("half_json", change=lambda answer: replace(answer, body=answer.body[: len(answer.body) // 2]))


def without(*fields: str) -> Fault:
    """These attributes are missing from every backup or server in the answer."""

    def drop(attributes: dict[str, Any]) -> None:
        for field in fields:
            attributes.pop(field, None)

    return Fault(f"without {' '.join(fields)}", change=_each_attributes(drop))


def with_values(values: Mapping[str, object]) -> Fault:
    """These attributes are other than they should be, or new, in every backup or server in the answer."""
    return Fault(f"with {' '.join(values)}", change=_each_attributes(lambda attributes: attributes.update(values)))


def wrong_total(difference: int = 1) -> Fault:
    """Return a fault: the list's `total` is off by so many."""

    def off(document: dict[str, Any]) -> None:
        document["meta"]["pagination"]["total"] += difference

    return Fault("wrong_total", change=_changed(off))


def shuffled(seed: int = 0) -> Fault:
    """Return a fault: the rows of the page come in another order."""

    def shuffle(document: dict[str, Any]) -> None:
        random.Random(seed).shuffle(document["data"])  # noqa: S311 — an order, not a secret

    return Fault("shuffled", change=_changed(shuffle))


# Meanwhile -----------------------------------------------------------------------------------------------------------


def meanwhile(action: "Callable[[World, str | None], None]", name: str = "meanwhile") -> Fault:
    """Something happens just before the call; `action` is given the world and the server's uuid (None for lists)."""
    return Fault(name, meanwhile=action)


def appears(name: str = "made by somebody else") -> Fault:
    """Another client's backup comes into being just before the call, at the end of the list, if the limit lets it."""

    def appear(world: "World", server: str | None) -> None:
        if server is not None and not world.servers[server].is_full():
            world.add_backup(world.servers[server], name)

    return Fault("appears", meanwhile=appear)


def vanishes(position: int = 0) -> Fault:
    """Another client deletes the backup at `position` of the list just before the call, so that pages shift."""

    def vanish(world: "World", server: str | None) -> None:
        if server is not None and len(world.servers[server].backups) > position:
            backup = list(world.servers[server].backups.values())[position]
            world.remove(world.servers[server], backup, by="somebody else")

    return Fault("vanishes", meanwhile=vanish)


def _changed(change: Callable[[dict[str, Any]], None]) -> Callable[[SandboxAnswer], SandboxAnswer]:
    """Return a change of the JSON document; an answer of another form, a refusal for one, stays as it is."""

    def apply(answer: SandboxAnswer) -> SandboxAnswer:
        document = answer.document()
        try:
            change(document)
        except (KeyError, TypeError, AttributeError):
            return answer
        return replace(json_answer(document, answer.status), headers=answer.headers)

    return apply


def _each_attributes(change: Callable[[dict[str, Any]], None]) -> Callable[[SandboxAnswer], SandboxAnswer]:
    def apply(document: dict[str, Any]) -> None:
        for row in document.get("data", [document]):
            change(row["attributes"])

    return _changed(apply)


MAKERS: Mapping[str, Callable[..., Fault]] = {
    maker.__name__: maker
    for maker in (
        *(refused, api_limit, creation_throttle, node_error, web_page, redirected, odd, huge, lost_before),
        *(
            lost_after,
            error_after,
            database_locked,
            cut,
            reset,
            token_refused,
            slow,
            late,
            job,
            half_json,
            without,
            with_values,
            wrong_total,
            shuffled,
        ),
        *(appears, vanishes),
    )
}
"""The faults that can be ordered by name, as a person does over HTTP."""
