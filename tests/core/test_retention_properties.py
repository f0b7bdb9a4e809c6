"""What holds of every listing and every policy, whatever they are."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from daemon.core.keep import COUNT_RULES, SPAN_RULES, Keep
from daemon.core.model import Action, Backup, Scope, State, Verdict
from daemon.core.retention import Retention, judge
from daemon.core.units import Span
from tests.core.build import NOW, OURS, but, failed, good, pending

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/St_Johns",
    "America/Santiago",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]

# Moments crowd around clock changes over midnight (St. John's 2010, Apia 2011), ends of months and years, and now.
ANCHORS = [
    datetime(2010, 11, 7, 3, tzinfo=UTC),
    datetime(2011, 12, 30, 10, tzinfo=UTC),
    datetime(2025, 3, 31, tzinfo=UTC),
]
moments = st.one_of(
    st.builds(
        lambda anchor, minutes: anchor + timedelta(minutes=minutes), st.sampled_from(ANCHORS), st.integers(-5000, 5000)
    ),
    st.builds(lambda minutes: NOW - timedelta(minutes=minutes), st.integers(0, 60 * 24 * 800)),
    st.builds(lambda hours: NOW - timedelta(hours=hours), st.integers(0, 100)),
)


@st.composite
def backups(draw: st.DrawFn, only_good: bool = False) -> list[Backup]:
    """A listing in any order: good, failed, pending, locked, foreign, small and wrongly dated ones."""
    rows = []
    for number, moment in enumerate(draw(st.lists(moments, min_size=1, max_size=25))):
        row = but(good(moment, size=draw(st.integers(900, 1100))), uuid=f"{number:04}")
        if not only_good:
            kind = draw(st.sampled_from("gggggffpsxz"))
            row = {
                "g": row,
                "f": but(failed(moment), uuid=row.uuid),
                "p": but(pending(moment), uuid=row.uuid),
                "s": but(row, bytes=draw(st.integers(0, 300))),
                "x": but(row, created_at=None, unreadable="no date"),
                "z": but(row, created_at=NOW + timedelta(days=1)),
            }[kind]
            changes = {"locked": draw(st.booleans())} | ({"name": "by hand"} if draw(st.integers(0, 4)) == 0 else {})
            row = but(row, **changes)
        rows.append(row)
    return rows


spans = st.builds(
    Span,
    years=st.integers(0, 2),
    months=st.integers(0, 14),
    weeks=st.integers(0, 3),
    days=st.integers(0, 40),
    hours=st.integers(1, 50),
)
counts = st.one_of(st.just(-1), st.integers(1, 6))


@st.composite
def keeps(draw: st.DrawFn, span_rules: tuple[str, ...] = SPAN_RULES) -> Keep:
    """Any one to four rules together."""
    rules = draw(st.lists(st.sampled_from(COUNT_RULES + span_rules), min_size=1, max_size=4, unique=True))
    chosen: dict[str, Any] = {rule: draw(counts if rule in COUNT_RULES else spans) for rule in rules}
    return Keep(**chosen)


@st.composite
def policies(draw: st.DrawFn, /, span_rules: tuple[str, ...] = SPAN_RULES, **fixed: Any) -> Retention:
    """Any policy."""
    values = {
        "keep": draw(keeps(span_rules)),
        "zone": ZoneInfo(draw(st.sampled_from(ZONES))),
        "scope": draw(st.sampled_from(Scope)),
        "min_good": draw(st.integers(1, 3)),
        "total_size": draw(st.one_of(st.none(), st.integers(500, 20_000))),
        "failed_after": draw(st.sampled_from([None, timedelta(days=2)])),
        "suspicious_for": draw(st.sampled_from([timedelta(0), timedelta(days=3)])),
    }
    return Retention(**(values | fixed))


def judged(rows: list[Backup], policy: Retention, **more: Any) -> tuple[Verdict, ...]:
    """The verdicts on these rows."""
    return judge(rows, policy, ownership=OURS, now=NOW, **more)


def kept(verdicts: tuple[Verdict, ...]) -> set[str]:
    """The uuids that are kept."""
    return {verdict.backup.uuid for verdict in verdicts if verdict.action is Action.KEEP}


def deleted(verdicts: tuple[Verdict, ...]) -> set[str]:
    """The uuids that are deleted."""
    return {verdict.backup.uuid for verdict in verdicts if verdict.action is Action.DELETE}


def stays(verdict: Verdict) -> bool:
    """Whether it is kept because the world shrank."""
    return any(reason.rule == "shrunk" for reason in verdict.reasons)


def candidates(verdicts: tuple[Verdict, ...], policy: Retention) -> list[Verdict]:
    """The good, unlocked ones in scope, newest first."""
    everyone = policy.scope is Scope.ALL
    return [v for v in verdicts if v.state is State.GOOD and not v.backup.locked and (v.own or everyone)]


@patient
@given(rows=backups(), policy=policies(), data=st.data())
def test_the_order_of_the_listing_is_irrelevant(rows: list[Backup], policy: Retention, data: st.DataObject) -> None:
    """Rows come in insertion order or any other: the verdicts are the same, and the argument is left as it was."""
    before = list(rows)
    shuffled = data.draw(st.permutations(rows))
    assert judged(rows, policy) == judged(shuffled, policy)
    assert rows == before


@patient
@given(rows=backups(), policy=policies())
def test_a_locked_one_is_never_deleted(rows: list[Backup], policy: Retention) -> None:
    """Whatever its state and whoever made it."""
    verdicts = judged(rows, policy)
    assert all(verdict.action is Action.KEEP for verdict in verdicts if verdict.backup.locked)


@patient
@given(rows=backups(), policy=policies())
def test_every_backup_gets_one_verdict_with_reasons(rows: list[Backup], policy: Retention) -> None:
    """Keep, delete and ignore are a partition, newest first, and none goes unexplained."""
    verdicts = judged(rows, policy)
    assert sorted(verdict.backup.uuid for verdict in verdicts) == sorted(row.uuid for row in rows)
    assert all(verdict.reasons and all(reason.text for reason in verdict.reasons) for verdict in verdicts)
    dated = [verdict.backup.created_at for verdict in verdicts if verdict.backup.created_at]
    assert dated == sorted(dated, reverse=True)


@patient
@given(rows=backups(), policy=policies())
def test_only_good_and_failed_unlocked_ones_in_scope_are_ever_deleted(rows: list[Backup], policy: Retention) -> None:
    """Pending, strange, suspicious and foreign ones are left alone."""
    for verdict in judged(rows, policy):
        if verdict.action is Action.DELETE:
            assert verdict.state in {State.GOOD, State.FAILED}
            assert verdict.own or policy.scope is Scope.ALL
            assert not verdict.backup.locked


@patient
@given(rows=backups(), policy=policies())
def test_the_newest_good_ones_are_always_kept(rows: list[Backup], policy: Retention) -> None:
    """Whatever the rules and the cap say, `min_good` survive."""
    for verdict in candidates(judged(rows, policy), policy)[: policy.min_good]:
        assert verdict.action is Action.KEEP


@patient
@given(rows=backups(), policy=policies())
def test_what_is_not_a_candidate_displaces_no_good_one(rows: list[Backup], policy: Retention) -> None:
    """Without the failed, pending, suspicious, strange, locked and foreign ones the same good ones are kept."""
    whole = judged(rows, policy)
    chosen = [verdict.backup for verdict in candidates(whole, policy)]
    assert kept(judged(chosen, policy, earlier=rows)) == kept(whole) & {backup.uuid for backup in chosen}


@patient
@given(rows=backups(), policy=policies())
def test_pruning_twice_deletes_nothing_more(rows: list[Backup], policy: Retention) -> None:
    """What a judgement leaves, the next one leaves."""
    first = judged(rows, policy)
    left = [row for row in rows if row.uuid not in deleted(first)]
    assert deleted(judged(left, policy, earlier=rows)) == set()


@patient
@given(rows=backups(), policy=policies(total_size=None), data=st.data())
def test_a_part_never_deletes_what_the_whole_keeps(rows: list[Backup], policy: Retention, data: st.DataObject) -> None:
    """Monotone retention: a listing that lacks rows is safe, whichever it lacks (invariant 5)."""
    whole = judged(rows, policy)
    part = data.draw(st.lists(st.sampled_from(rows), unique_by=lambda row: row.uuid))
    assert not deleted(judged(part, policy, earlier=rows)) & kept(whole)


@patient
@given(rows=backups(), policy=policies(), data=st.data())
def test_an_incomplete_part_is_safe_from_the_cap(rows: list[Backup], policy: Retention, data: st.DataObject) -> None:
    """`total_size` acts on complete listings alone, so the same holds with one."""
    whole = judged(rows, policy)
    part = data.draw(st.lists(st.sampled_from(rows), unique_by=lambda row: row.uuid))
    assert not deleted(judged(part, policy, earlier=rows, complete=False)) & kept(whole)


@patient
@given(rows=backups(only_good=True), policy=policies(total_size=None), data=st.data())
def test_a_larger_number_never_keeps_less(rows: list[Backup], policy: Retention, data: st.DataObject) -> None:
    """Raising a count rule only adds to what is kept."""
    assume(policy.keep.counts)
    rule, count = data.draw(st.sampled_from(sorted(policy.keep.counts.items())))
    more = data.draw(st.one_of(st.just(-1), st.integers(count, 8))) if count > 0 else -1
    values = {name: getattr(policy.keep, name) for name in (*COUNT_RULES, *SPAN_RULES)}
    wider = policies_with(policy, Keep(**(values | {rule: more})))
    assert kept(judged(rows, policy)) <= kept(judged(rows, wider))


@patient
@given(rows=backups(only_good=True), policy=policies(("within",), total_size=None, suspicious=0.0))
def test_pruning_after_every_backup_equals_pruning_once(rows: list[Backup], policy: Retention) -> None:
    """A daemon that prunes daily ends where one that slept a year does."""
    left: list[Backup] = []
    for row in sorted(rows, key=lambda row: (row.created_at, row.uuid)):
        left.append(row)
        gone = deleted(judged(left, policy))
        left = [backup for backup in left if backup.uuid not in gone]
    assert {backup.uuid for backup in left} == kept(judged(rows, policy))


@patient
@given(rows=backups(only_good=True), policy=policies(total_size=None, suspicious=0.0))
def test_pruning_after_every_backup_never_keeps_less(rows: list[Backup], policy: Retention) -> None:
    """With the rules `within_daily` and its like, which also keep the oldest inside, it may keep one more."""
    left: list[Backup] = []
    for row in sorted(rows, key=lambda row: (row.created_at, row.uuid)):
        left.append(row)
        gone = deleted(judged(left, policy))
        left = [backup for backup in left if backup.uuid not in gone]
    assert {backup.uuid for backup in left} >= kept(judged(rows, policy))


@patient
@given(rows=backups(), policy=policies())
def test_the_cap_holds_unless_the_floor_forbids(rows: list[Backup], policy: Retention) -> None:
    """With `total_size`, what is kept fits, or is the newest `min_good`; what stays since a shrink is beside it."""
    assume(policy.total_size)
    held = [v for v in candidates(judged(rows, policy), policy) if v.action is Action.KEEP and not stays(v)]
    assert len(held) <= policy.min_good or sum(v.backup.bytes for v in held) <= (policy.total_size or 0)


@patient
@given(rows=backups(only_good=True), policy=policies(total_size=None, suspicious=0.0))
def test_no_more_is_kept_than_was_foretold(rows: list[Backup], policy: Retention) -> None:
    """`check` can trust the bound on how many a policy keeps."""
    most = policy.most_kept()
    assert most is None or len(kept(judged(rows, policy))) <= most


def policies_with(policy: Retention, keep: Keep) -> Retention:
    """The same policy with other rules."""
    return Retention(
        keep, policy.zone, policy.scope, policy.min_good, policy.total_size, policy.failed_after, policy.suspicious
    )
