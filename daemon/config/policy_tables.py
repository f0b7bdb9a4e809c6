"""Every key of a policy, the rules of what is kept, and what a server may do differently: all that its policy has."""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Discriminator, Field, Tag, create_model, model_validator

from daemon.config.kinds import (
    AsJson,
    Bound,
    Count,
    CountOrAll,
    Duration,
    DurationOrNever,
    FailedAfter,
    Flag,
    Identifier,
    LongDuration,
    Names,
    NameTemplate,
    NumberOrNone,
    Patterns,
    Schedule,
    Share,
    ShareOrAll,
    Size,
    Span,
    StoreNames,
    Templates,
    Zone,
)
from daemon.config.table import Table
from daemon.config.value_error import value_error
from daemon.core.brake import USUAL_SHARE


class KeepTable(Table):
    """What to keep: each rule judges independently, and a backup stays if any rule wants it."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    last: CountOrAll | None = Field(None, description="The newest n, whenever they were made; -1: all.")
    hourly: CountOrAll | None = Field(None, description="The newest of each hour, for the n newest hours with backups.")
    daily: CountOrAll | None = Field(None, description="The newest of each day, for the n newest days with backups.")
    weekly: CountOrAll | None = Field(None, description="The newest of each ISO week, for the n newest weeks.")
    monthly: CountOrAll | None = Field(None, description="The newest of each month, for the n newest months.")
    yearly: CountOrAll | None = Field(None, description="The newest of each year, for the n newest years.")
    within: Span | None = Field(None, description='All within a span before the newest good one, such as "30d".')
    within_hourly: Span | None = Field(None, description="The newest of each hour within a span.")
    within_daily: Span | None = Field(None, description="The newest of each day within a span.")
    within_weekly: Span | None = Field(None, description="The newest of each ISO week within a span.")
    within_monthly: Span | None = Field(None, description="The newest of each month within a span.")
    within_yearly: Span | None = Field(None, description="The newest of each year within a span.")

    @model_validator(mode="after")
    def _has_a_rule(self) -> Self:
        if not self.model_fields_set:
            raise value_error(
                "holds no rule, so nothing would be kept", 'such as { last = 3, daily = 7 }, or keep = "all"'
            )
        return self

    def rules(self) -> dict[str, Any]:
        """Return the rules that were set, by name."""
        return self.model_dump(exclude_unset=True)


Rules = Annotated[
    Annotated[Literal["all"], Tag("all")] | Annotated[KeepTable, Tag("table")],
    Discriminator(lambda value: "table" if isinstance(value, dict | KeepTable) else "all"),
    AsJson,
]


class ProveTable(Table):
    """What is read to the end, and how often, so that backups are known to be restorable."""

    level: Literal["read", "walked", "sane"] = Field(
        "sane",
        description='How deep: "read": size and checksum; "walked": the archive to its end; "sane": what a game needs.',
    )
    newest_within: LongDuration = Field(
        "2d", description="The newest good backup is proven at most this long after it was made."
    )
    every: DurationOrNever = Field(
        "30d", description='Each kept backup and copy is proven again after this long at most; or "never".'
    )
    keep_proven: NumberOrNone = Field(1, description="This many of the newest proven backups survive every rule.")
    expect: Patterns = Field([], description='Files that must be in each backup, such as "world/level.dat" or "*.db".')


class PolicyTable(Table):
    """When to back up, under what name, and what to keep."""

    schedule: Schedule = Field(description='Five fields as in crontab(5), "@daily" and the like, or "every 6h".')
    timezone: Zone = Field("UTC", description="The IANA time zone of the schedule and of days, weeks and months.")
    splay: Duration = Field("0s", description="Each server starts later by its own fixed delay within this span.")
    scope: Literal["own", "all"] = Field(
        description='What may be deleted: "own": only what this policy named; "all": any unlocked backup.'
    )
    name: NameTemplate = Field(
        "auto-{server}-{time}-{id}",
        description="How new backups are named: fixed text first, then {time}, and {server} and {id} as you like.",
    )
    also_own: Templates = Field([], description="Earlier templates, whose backups still count as this policy's own.")
    ignored: Patterns = Field([], description="Files to leave out of the backup, one pattern per entry.")
    keep: Rules = Field(description='What to keep: a table of rules, or "all" to create only.')
    timeout: LongDuration = Field("6h", description="How long a backup may take before it is reported as stuck.")
    min_good: Count = Field(1, description="This many of the newest good backups survive every rule.")
    total_size: Size = Field("off", description='How much all kept backups may take together, such as "50GiB".')
    failed_after: FailedAfter = Field(
        "2d", description='A failed backup is deleted this long after it failed: at least 12h, or "never".'
    )
    suspicious: Share = Field(
        0.5, description="A backup under this share of the median of the five before it is suspicious; 0: never."
    )
    suspicious_for: Duration = Field(
        "3d", description="How long a row of three or more small backups of similar size must last to be believed."
    )
    max_deletions: Bound = Field(
        10, description="A rotation that would delete more good backups than this deletes none; -1: no brake at all."
    )
    max_share: ShareOrAll = Field(
        USUAL_SHARE,
        description="The same for more than two and more than this share of the good ones; 1: no such bound.",
    )
    node_hold: Duration = Field("1h", description="How long one backup may hold its node's slot.")
    alerts: Names = Field(None, description="Names of the alerts to send; left out: all of them; []: none.")
    copies: StoreNames = Field([], description="The stores that good backups are copied to, by the names of stores.")
    copy_before_delete: StoreNames = Field(
        [], description="Those of them that must have a copy of a good backup before it is deleted from the panel."
    )
    copy_before_delete_when_full: Literal["refuse", "make-room"] = Field(
        "refuse",
        description='At the panel\'s limit: "refuse" the new backup, or "make-room" by an uncopied one.',
    )
    copy_before_delete_unverified: Flag = Field(
        default=False, description="Let a copy count that the panel gave no checksum for."
    )
    prove: Annotated[ProveTable | None, AsJson] = Field(
        None, description="What to prove, how deeply, and how often; left out: nothing is proven."
    )


class ServerIdentity(Table):
    """What a server has besides the policy's keys."""

    id: Identifier = Field(description="The server's 8-character identifier, or its full uuid.")
    panel: str | None = Field(None, description="The panel it is on; may be left out if there is only one.")
    policy: str | None = Field(None, description="The policy it follows; may be left out if there is only one.")

    def overrides(self) -> dict[str, Any]:
        """Return the policy's keys that are set on the server itself."""
        written = self.model_fields_set
        return {key: getattr(self, key) for key in PolicyTable.model_fields if key in written}


def _left_to_the_policy() -> dict[str, Any]:
    """Return the policy's keys, none of them required, each without a default of its own."""
    return {
        key: (Annotated[(field.annotation, *field.metadata, Field(description=field.description))], None)
        for key, field in PolicyTable.model_fields.items()
    }


ServerTable: type[ServerIdentity] = create_model(
    "ServerTable",
    __base__=ServerIdentity,
    __doc__="One server, and what it does differently: a key set here replaces the policy's whole value.",
    **_left_to_the_policy(),
)
