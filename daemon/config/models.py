"""Every key of the configuration: its type, its default and what it is for. Those of policies and servers are in
`policy_tables`.

`config schema` prints these models, and each table is checked against its model. Cross-checks between tables belong in
`load`, what a single value may be in `kinds`.
"""

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, create_model

from daemon.config.kinds import (
    USUAL_EVENTS,
    AsJson,
    Backfill,
    Bound,
    Count,
    Duration,
    DurationOrNever,
    EntryName,
    Events,
    FileName,
    Flag,
    Hosts,
    Listen,
    LongDuration,
    Member,
    ObjectLock,
    Quiet,
    Recipients,
    Selectors,
    Share,
    Size,
    StoreUrl,
    Text,
    Url,
)
from daemon.config.policy_tables import PolicyTable, Rules, ServerTable
from daemon.config.table import Table


class DiscoverTable(Table):
    """The servers of a panel to cover without configuring them one by one."""

    match: Selectors = Field(
        description='Wildcards for the name, "node:…" for the node, "tag:…" for a #word in the description.',
    )
    exclude: Selectors = Field([], description="Servers to leave out, in the same form.")
    policy: str | None = Field(
        None, description='The policy that they follow, of scope "own"; may be left out if there is only one.'
    )
    every: LongDuration = Field("15m", description="How often to look at the panel for new servers.")


class PanelTable(Table):
    """One panel."""

    url: Url = Field(description="The panel's address, as in a browser: https, without /api.")
    api_key_file: Text | None = Field(
        None, description="A file that holds the client API key alone; a relative path starts at this file's folder."
    )
    api_key: SecretStr | None = Field(None, description="The key itself: from the environment only, never in a file.")
    allow_http: Flag = Field(
        default=False,
        description="Allow an http address: anyone on the path to the panel can read the key. For an https panel: "
        "follow its nodes' download links even if they are http.",
    )
    servers: Literal["mine", "all"] = Field(
        "mine",
        description='Which servers to ask the panel for: "mine": the key user\'s own and shared ones; "all": '
        "every one of the panel, for an administrator's key.",
    )
    backups_per_node: Count = Field(1, description="How many backups may run at once on one node.")
    api_reserve: Share = Field(0.2, description="The share of the panel's API limit that is left to people, 0 to <1.")
    discover: Annotated[DiscoverTable | None, AsJson] = Field(
        None, description="Servers to cover without configuring them one by one."
    )


class HttpTable(Table):
    """The status page, the metrics and the health checks."""

    listen: Listen | None = Field(
        None, description='Where the daemon answers HTTP, such as "127.0.0.1:9180"; left out: nowhere.'
    )
    expose: Flag = Field(
        default=False, description="Allow an address that others can reach without a token: they can read the page."
    )
    hosts: Hosts = Field(
        [], description="Host names that the page answers to, besides localhost and plain IP addresses."
    )
    external_url: Url | None = Field(None, description="The page's address as people open it; alerts link to it.")
    token_file: Text | None = Field(
        None, description="A file that holds the token alone; a relative path starts at this file's folder."
    )
    token: SecretStr | None = Field(None, description="The token itself: from the environment only, never in a file.")


class ClusterTable(Table):
    """The database by which several daemons share the work."""

    url_file: FileName | None = Field(
        None,
        description="A file that holds the database's address alone; a relative path starts at its folder.",
    )
    url: SecretStr | None = Field(None, description="The address itself: from the environment only, never in a file.")
    member: Member | None = Field(None, description="This daemon's name in the cluster; left out: the host's name.")
    lease: Duration = Field("30s", description="A daemon not heard from for this long is replaced by another.")


class AlertTable(Table):
    """One receiver of alerts."""

    type: Literal["ping", "webhook", "apprise"] = Field(
        description='"ping": healthchecks.io and the like; "webhook": JSON, or Discord; "apprise": any other.'
    )
    url_file: FileName | None = Field(
        None, description="A file that holds the address alone; a relative path starts at this file's folder."
    )
    url: SecretStr | None = Field(None, description="The address itself: from the environment only, never in a file.")
    events: Events = Field(
        USUAL_EVENTS,
        description='Events to report; "done" is each good backup. A ping reports every rotation.',
    )
    allow_http: Flag = Field(
        default=False, description="Allow an http address: anyone on the path to the receiver can read it."
    )


class StoreTable(Table):
    """One store of copies."""

    url: StoreUrl = Field(
        description="Where it is: file:///PATH, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX, "
        "sftp://USER@HOST/PATH or rclone:REMOTE:PATH."
    )
    endpoint: Url | None = Field(None, description="The address of the service, if it is not Amazon's or Azure's own.")
    region: Text | None = Field(None, description="S3: the bucket's region.")
    access_key_id_file: Text | None = Field(
        None,
        description="S3: a file that holds the access key's id alone; a relative path starts at this file's folder.",
    )
    access_key_id: SecretStr | None = Field(None, description="The id itself: from the environment only.")
    secret_access_key_file: Text | None = Field(None, description="S3: a file that holds the secret access key alone.")
    secret_access_key: SecretStr | None = Field(None, description="The key itself: from the environment only.")
    session_token_file: Text | None = Field(None, description="S3: a file that holds the token of a passing key alone.")
    session_token: SecretStr | None = Field(None, description="The token itself: from the environment only.")
    service_account_file: Text | None = Field(None, description="Google: the JSON file with a service account's key.")
    service_account: SecretStr | None = Field(None, description="The JSON itself: from the environment only.")
    account_name: Text | None = Field(None, description="Azure: the storage account.")
    account_key_file: Text | None = Field(None, description="Azure: a file that holds the account's key alone.")
    account_key: SecretStr | None = Field(None, description="The key itself: from the environment only.")
    known_hosts_file: Text | None = Field(None, description="SFTP: the file with the host's key, as OpenSSH has it.")
    private_key_file: Text | None = Field(
        None, description="SFTP: the file with the private key, as ssh-keygen has it."
    )
    private_key: SecretStr | None = Field(None, description="The private key itself: from the environment only.")
    passphrase_file: Text | None = Field(
        None, description="SFTP: a file that holds the private key's passphrase alone."
    )
    passphrase: SecretStr | None = Field(None, description="The passphrase itself: from the environment only.")
    password_file: Text | None = Field(None, description="SFTP: a file that holds the user's password alone.")
    password: SecretStr | None = Field(None, description="The password itself: from the environment only.")
    rclone_config_file: Text | None = Field(None, description="rclone: its configuration, if not in its usual place.")
    rate: Size = Field("off", description='The most bytes a second to and from it, such as "20MiB".')
    encrypt_to: Recipients = Field([], description="The age recipients that copies are encrypted for; []: plain.")
    keep: Rules = Field("all", description='What the store takes and keeps: a table of rules, or "all".')
    min_good: Count = Field(1, description="This many of the newest copies survive every rule.")
    max_deletions: Bound = Field(
        10, description="Pruning that would delete more copies of a server than this deletes none; -1: no brake at all."
    )
    object_lock: ObjectLock = Field(
        "off", description='S3: how long nobody may delete a copy, such as "30d"; renewed while `keep` keeps it.'
    )
    every: LongDuration | None = Field(None, description="Take at most one backup of a server in each such period.")
    backfill: Backfill = Field(
        "all", description='How many of the newest backups a new store is filled with: "all", a number, or "none".'
    )


class ProofTable(Table):
    """How much is read for proofs, over all servers, and when not."""

    per_day: Size = Field("off", description='The most bytes read a day (UTC), such as "200GiB".')
    quiet: Quiet = Field(
        "off", description='The hours without proofs, such as "08:00-23:00", in the zone of the policy.'
    )


class DrillBase(Table):
    """What a drill has besides `from`, which is no name in Python."""

    server: Text = Field(description="The spare server, by its name; its description on the panel must carry #drill.")
    every: DurationOrNever = Field(
        "never", description='How often the daemon drills, each time with the next server; "never": by hand alone.'
    )
    start: Flag = Field(
        default=False,
        description="Start what was restored: its plugins may then reach databases and webhooks of the real server.",
    )
    watch: Duration = Field("5m", description="For how long the started server must run.")
    console: Text | None = Field(None, description='What its console must show meanwhile, such as "Done (".')

    @property
    def sources(self) -> tuple[str, ...]:
        """The servers whose backups are tried."""
        return tuple(getattr(self, "from"))


_FROM: dict[str, Any] = {
    "from": (Annotated[list[str], AsJson], Field(description="The servers whose backups are tried, in turn."))
}
DrillTable: type[DrillBase] = create_model(
    "DrillTable",
    __base__=DrillBase,
    __doc__="A spare server onto which backups are restored, to see that they can be.",
    **_FROM,
)


class Document(Table):
    """The configuration of ptero-backupd."""

    state_dir: Text | None = Field(
        None,
        description='The folder for the journal and the locks; "none" for no state. Overrides $STATE_DIRECTORY.',
    )
    spool: Size = Field("20GiB", description="The most bytes on a disk that wait for stores which are slow.")
    panels: dict[EntryName, PanelTable] = Field({}, description="The panels, by a name of your own.")
    policies: dict[EntryName, PolicyTable] = Field({}, description="The policies, by a name of your own.")
    servers: dict[EntryName, ServerTable] = Field({}, description="The servers, by a name of your own.")
    alerts: dict[EntryName, AlertTable] = Field({}, description="The receivers of alerts, by a name of your own.")
    stores: dict[EntryName, StoreTable] = Field({}, description="The stores of copies, by a name of your own.")
    drills: dict[EntryName, DrillTable] = Field({}, description="Restores onto spare servers, by a name of your own.")
    http: HttpTable = Field(default_factory=HttpTable, description="Where the daemon answers HTTP, and to whom.")
    proof: ProofTable = Field(default_factory=ProofTable, description="How much is read for proofs, and when not.")
    cluster: ClusterTable = Field(
        default_factory=ClusterTable, description="The database that several daemons share; without its address: none."
    )


SECTIONS: dict[str, type[Table]] = {
    "panels": PanelTable,
    "policies": PolicyTable,
    "servers": ServerTable,
    "alerts": AlertTable,
    "stores": StoreTable,
    "drills": DrillTable,
}
"""The tables of tables: each holds entries by a name of the operator's own."""

TABLES: dict[str, type[Table]] = {"http": HttpTable, "cluster": ClusterTable, "proof": ProofTable}
"""Tables of which there is only one."""

SECRETS: dict[str, tuple[str, ...]] = {
    "panels": ("api_key",),
    "alerts": ("url",),
    "http": ("token",),
    "cluster": ("url",),
    "stores": (
        "access_key_id",
        "secret_access_key",
        "session_token",
        "service_account",
        "account_key",
        "private_key",
        "passphrase",
        "password",
    ),
}
"""What no file may hold: such files are shown, copied and committed."""
