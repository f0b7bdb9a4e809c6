"""Define everything that a store can raise, and what its machine can; nothing else leaves `daemon/stores`.

    StoreError                     exit 4
    ├── StoreUnreachableError   t  no connection, one that broke, or no answer within the deadline
    ├── StoreTroubleError       t  the store is in trouble: 5xx, too many requests, an I/O error of its disk
    ├── StoreCutError           t  a stream or a listing ended before its end; nothing of it counts
    ├── StoreFullError             no room, or a quota that is used up
    ├── StoreIdentityError         it is not the host that it was: another host key, another certificate
    ├── StoreCredentialsError      the store does not accept the secret
    ├── StorePermissionError       it accepts the secret, but does not let it do this
    ├── StoreRefusedError          any other refusal, which the store's own words explain
    ├── StoreUnusableError         2: the configuration asks for what this engine or this machine cannot do
    ├── ObjectExistsError          something has that name; it was left as it is
    ├── ObjectMissingError         nothing has that name
    └── ObjectLockedError          it is locked until `until`, and stays

t: `transient` — the same call may succeed later without anybody's help. No text here may hold a secret.

    PartError                      exit 4   this machine cannot hold a part of an object: no trouble of the store's
    └── PartRoomError              its disk is full
"""

from datetime import datetime

from daemon.errors import BackupdError, Exit, ProblemCode


class StoreError(BackupdError):
    """A store cannot be used, or does not do what it was asked."""

    exit_code = Exit.FAILED
    code = ProblemCode.STORE
    transient: bool = False


class StoreUnreachableError(StoreError):
    """There is no connection, it broke, or no answer came in time."""

    code = ProblemCode.STORE_UNREACHABLE
    default_hint = "check the store's address, and whether this machine can reach it"
    transient = True


class StoreTroubleError(StoreError):
    """The store answers that it is in trouble, or wants fewer requests."""

    code = ProblemCode.STORE_TROUBLE
    default_hint = "the store is in trouble or in maintenance; its own log or status page says more"
    transient = True


class StoreCutError(StoreError):
    """A stream or a listing ended before its end, so nothing of it counts."""

    code = ProblemCode.STORE_CUT
    default_hint = "if this comes again, something between this machine and the store cuts connections"
    transient = True


class StoreFullError(StoreError):
    """There is no room, or a quota is used up."""

    code = ProblemCode.STORE_FULL
    default_hint = "free some space in the store, give it more, or keep fewer copies in it"


class StoreIdentityError(StoreError):
    """The other end is not the host that it should be."""

    code = ProblemCode.STORE_IDENTITY
    default_hint = "if the store's host really was set up anew, put its new key into known_hosts"


class StoreCredentialsError(StoreError):
    """The store does not accept the secret."""

    code = ProblemCode.STORE_CREDENTIALS
    default_hint = "check the store's key or password; a copied one may lack a character, or may have been revoked"


class StorePermissionError(StoreError):
    """The store accepts the secret, but does not let it do this."""

    code = ProblemCode.STORE_PERMISSION
    default_hint = "give the store's key the right to do this"


class StoreRefusedError(StoreError):
    """The store refuses, for a reason that its own words give."""

    code = ProblemCode.STORE_REFUSED
    default_hint = "the store's own message says why"


class StoreUnusableError(StoreError):
    """The configuration asks for what this engine, or this machine, cannot do."""

    exit_code = Exit.USAGE
    code = ProblemCode.STORE_UNUSABLE


class ObjectExistsError(StoreError):
    """Something has that name already; it was left as it is."""

    code = ProblemCode.OBJECT_EXISTS
    default_hint = "data without a manifest, as a crash leaves it, is cleared away after 48 hours"


class ObjectMissingError(StoreError):
    """Nothing has that name."""

    code = ProblemCode.OBJECT_MISSING


class ObjectLockedError(StoreError):
    """The object is locked, and stays; `until` is when the lock ends, None if the store does not say."""

    code = ProblemCode.OBJECT_LOCKED
    default_hint = "the store keeps it until its lock ends"

    def __init__(self, text: str, *, until: datetime | None = None) -> None:
        super().__init__(text)
        self.until = until


class PartError(BackupdError):
    """This machine cannot hold a part of an object until it is sent; nothing is wrong with the store."""

    exit_code = Exit.FAILED
    code = ProblemCode.DISK
    default_hint = "look at that folder's permissions and at its disk, or let `state_dir` name another folder"


class PartRoomError(PartError):
    """There is too little room for it."""

    code = ProblemCode.DISK_FULL
    default_hint = 'free some space there, let `state_dir` name a folder on another disk, or set `spool = "off"`'
