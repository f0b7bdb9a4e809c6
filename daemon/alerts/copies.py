"""Alerts about copies: which are worth one, and in which words."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from daemon.alerts.message import STORES, Message
from daemon.config.values import ServerConfig
from daemon.core.alerting import Alert, AlertState, Event, copies_looked, pruning_looked, store_looked
from daemon.core.copies_state import CopyState
from daemon.core.units import format_moment
from daemon.log import harmless
from daemon.status.copies import CopyStatus, StoreStatus
from daemon.status.history import ServerHistory
from daemon.status.troubles import uncopied_texts

UTC = ZoneInfo("UTC")


def key_of(store: str) -> str:
    """Return what alerts remember a store by, among the names of servers."""
    return f"{STORES}{store}"


def about_copies(
    state: AlertState, server: ServerConfig, copies: Sequence[CopyStatus], history: ServerHistory, now: datetime
) -> tuple[AlertState, list[Message]]:
    """Return what is to be remembered of a server, and the messages about its copies."""
    state, news = copies_looked(
        state,
        stores={one.store for one in copies},
        late={one.store for one in copies if one.late(now)},
        copied={one.store for one in copies if one.state is CopyState.COPIED},
    )
    state, more = pruning_looked(
        state,
        stores={one.store for one in copies},
        held={one.store for one in copies if one.held},
        pruned={one.store for one in copies if one.held == ""},
    )
    return state, [_of_copies(piece, server, copies, history, now) for piece in (*news, *more)]


def about_store(state: AlertState, store: StoreStatus, now: datetime) -> tuple[AlertState, list[Message]]:
    """Return what is to be remembered of a store, and the messages about it."""
    trouble = store.trouble
    state, news = store_looked(state, store.name, trouble.since if trouble else None, now)
    waiting = (
        f"{store.waiting} server{'' if store.waiting == 1 else 's'} wait{'s' if store.waiting == 1 else ''} for it"
    )
    text, hint = f"what is to be copied there is tried again; {waiting}", ""
    if trouble is not None:
        text = f"since {format_moment(trouble.since, UTC)}: {harmless(trouble.text)}; {waiting}"
        hint = "look at `ptero-backupd stores` and `ptero-backupd check`"
    return state, [Message(piece, key_of(store.name), "", "", now, text, hint) for piece in news]


def _of_copies(
    news: Alert, server: ServerConfig, copies: Iterable[CopyStatus], history: ServerHistory, now: datetime
) -> Message:
    meant = [one for one in copies if one.store in news.stores]
    named = ", ".join(news.stores)
    text, hint = f"{named} has the newest good backup again", ""
    if news.event is Event.PRUNED:
        text = f"the rules of {named} delete what they let go again"
    elif news.event is Event.UNPRUNED:
        text = "; ".join(f"{one.store}: {harmless(one.held or '')}" for one in meant)
        hint = f"`ptero-backupd copies prune {server.name} --dry-run` shows it; `--max-deletions N` lets it go at once"
    elif news.event is Event.UNCOPIED:
        text = harmless(uncopied_texts(server, history, meant, now))
        hint = f"look at `ptero-backupd stores`; `ptero-backupd copies run {server.name}` tries it now"
    names = (server.name, server.panel.name, server.policy.name)
    return Message(news, *names, now, text, hint, history.good_at)
