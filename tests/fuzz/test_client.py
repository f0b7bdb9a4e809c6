"""Every call of one client in turn, against one and the same answer, whatever it is."""

import json

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.core.model import Backup
from daemon.errors import BackupdError
from tests.fakes import FakeClock
from tests.panel.stand_in import SERVER, UUID, Script, client, row

pytestmark = pytest.mark.anyio

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(
    st.sampled_from([*row()["attributes"], "status", "feature_limits", "url", "identifier"]), JSON, max_size=6
)
DOCUMENTS = (
    JSON
    | st.builds(
        lambda kind, fields: {"object": kind, "attributes": fields},
        st.sampled_from(["backup", "server", "job"]),
        FIELDS,
    )
    | st.builds(
        lambda rows, total: {"object": "list", "data": rows, "meta": {"pagination": {"total": total}}},
        st.lists(FIELDS.map(lambda fields: row() | {"attributes": row()["attributes"] | fields}) | JSON, max_size=4),
        JSON,
    )
    | st.builds(lambda first, rest: {"errors": [first, *rest]}, FIELDS | JSON, st.lists(JSON, max_size=2))
)
BODIES = DOCUMENTS.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=200)


@settings(max_examples=300, deadline=None)
@given(
    status=st.sampled_from([200, 200, 200, 201, 202, 204, 302, 400, 401, 403, 404, 409, 418, 422, 429, 500, 502, 504]),
    body=BODIES,
    headers=st.dictionaries(
        st.sampled_from(
            ["date", "retry-after", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "location"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30) | st.integers(0, 10**30).map(str),
    ),
)
async def test_no_answer_whatsoever_leads_to_anything_but_a_value_or_an_error_of_ours(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    """Every call against arbitrary answers: no crash, and no wait without end."""
    reply = httpx.Response(status, content=body, headers=headers)
    clock, raised = FakeClock(), list[BackupdError]()
    async with client(Script(reply), clock=clock) as panel:
        for call in (
            panel.servers(),
            panel.server(SERVER),
            panel.backups(SERVER),
            panel.backup(SERVER, UUID),
            panel.download_link(SERVER, UUID),
            panel.create(SERVER, name="n"),
            panel.settle_create(SERVER, "n", until=1),
            panel.set_lock(SERVER, UUID, True),
            panel.restore(SERVER, UUID, truncate=False),
            panel.delete(SERVER, UUID),
        ):
            try:
                value = await call
            except BackupdError as error:
                raised.append(error)
            else:
                for found in value if isinstance(value, tuple) else (value,):
                    if isinstance(found, Backup):
                        found.name.encode()
    assert all(error.hint and error.text.isprintable() for error in raised)
    assert clock.elapsed < 6000
