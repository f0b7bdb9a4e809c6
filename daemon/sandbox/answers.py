"""What is sent back, and the refusals of the panel, as plain values.

Nothing here knows a rule of the panel, only how its answers look: compact JSON with escaped slashes for results,
`{"errors": [...]}` for refusals, and HTML where the caller did not ask for JSON.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from daemon.sandbox.tongues import spoken

JSON = "application/json"
HTML = "text/html; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class SandboxAnswer:
    """One HTTP answer, whole in memory."""

    status: int = 200
    body: bytes = b""
    content_type: str | None = JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, more: Mapping[str, str]) -> "SandboxAnswer":
        """Return the same answer with these headers too."""
        return replace(self, headers={**self.headers, **more})

    def document(self) -> Any:  # noqa: ANN401 — JSON can be anything
        """Return the JSON document of the body, None if it holds none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def json_answer(document: object, status: int = 200, headers: Mapping[str, str] | None = None) -> SandboxAnswer:
    """`document` as the panel writes JSON: compact, ASCII, slashes escaped."""
    text = json.dumps(document, separators=(",", ":")).replace("/", "\\/")
    return SandboxAnswer(status, text.encode(), JSON, headers or {})


def html_answer(status: int, title: str, headers: Mapping[str, str] | None = None) -> SandboxAnswer:
    """Return a page for people, as the web server or the framework makes them."""
    page = f"<!DOCTYPE html>\n<html><head><title>{title}</title></head><body><h1>{status} {title}</h1></body></html>\n"
    return SandboxAnswer(status, page.encode(), HTML, headers or {})


def empty_answer(headers: Mapping[str, str] | None = None) -> SandboxAnswer:
    """204: it is done, and there is nothing to say."""
    return SandboxAnswer(204, b"", None, headers or {})


def redirect_answer(location: str, headers: Mapping[str, str] | None = None) -> SandboxAnswer:
    """302 to `location`, with the page for browsers that do not follow."""
    return html_answer(302, f"Redirecting to {location}", {**(headers or {}), "Location": location})


class PanelRefusal(Exception):  # noqa: N818 — it is the panel's answer, not an error of this program
    """The panel says no: raised by the rules, answered by the app.

    `errors` are the members of the answer's `errors`; `headers` are those that belong to the refusal itself.
    """

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Iterable[Mapping[str, Any]] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = list(errors or [{"code": code, "status": str(status), "detail": detail}])

    def answer(
        self, *, wants_json: bool, base_url: str, locale: str = "en", login: str = "/auth/login"
    ) -> SandboxAnswer:
        """As JSON; to callers that did not ask for it as a page, or as a redirect for 401 and 422."""
        if wants_json:
            errors = [{**error, "detail": spoken(error["detail"], locale)} for error in self.errors]
            return json_answer({"errors": errors}, self.status, self.headers)
        if self.status == HTTPStatus.UNAUTHORIZED:
            return redirect_answer(base_url + login, self.headers)
        if self.status == HTTPStatus.UNPROCESSABLE_ENTITY:
            return redirect_answer(base_url, self.headers)
        return html_answer(self.status, self.detail, self.headers)


def invalid(field_name: str, rule: str, detail: str) -> dict[str, Any]:
    """One member of a 422's `errors`."""
    return {
        "code": "ValidationException",
        "status": "422",
        "detail": detail,
        "meta": {"source_field": field_name, "rule": rule},
    }


def not_found() -> PanelRefusal:
    """404 as for everything that the panel cannot find."""
    return PanelRefusal(404, "NotFoundHttpException", "The requested resource could not be found on the server.")


def query_failed() -> PanelRefusal:
    """500 as for everything that the database refuses."""
    return server_error("QueryException")


def forbidden(detail: str = "This action is unauthorized.") -> PanelRefusal:
    """403: a permission is lacking, or the key is of the wrong kind or at the wrong place."""
    return PanelRefusal(403, "AccessDeniedHttpException", detail)


def bad_request(detail: str) -> PanelRefusal:
    """400 of the general kind."""
    return PanelRefusal(400, "BadRequestHttpException", detail)


def server_error(code: str) -> PanelRefusal:
    """500 as for every exception of the panel's that it has no words for."""
    detail = "An unexpected error was encountered while processing this request, please try again."
    return PanelRefusal(500, code, detail)


def pelicans_node_trouble(*, answered: bool) -> PanelRefusal:
    """Return the node's trouble on a Pelican: always 500, by the class of what its HTTP client threw."""
    return server_error("RequestException" if answered else "ConnectionException")


def node_trouble(status: int, request_id: str) -> PanelRefusal:
    """Return the node's trouble as a Pterodactyl passes it on; 504 means that it could not be reached at all."""
    if status == HTTPStatus.GATEWAY_TIMEOUT:
        detail = "Could not establish a connection to the machine running this server. Please try again."
    elif status < HTTPStatus.INTERNAL_SERVER_ERROR:
        detail = f"An error occurred on the remote host: ordered in the sandbox. (request id: {request_id})"
    else:
        detail = (
            "There was an error while communicating with the machine running this server. This error has been logged,"
            f" please try again. (code: {status}) (request_id: {request_id})"
        )
    return PanelRefusal(status, "DaemonConnectionException", detail)
