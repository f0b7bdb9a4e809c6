"""From a store's settings to the engine: which host has the bucket, and who signs."""

from contextlib import suppress
from urllib.parse import urlsplit

from daemon.clock import Clock
from daemon.stores.errors import StoreUnusableError
from daemon.stores.s3.client import S3Client
from daemon.stores.s3.http import S3Http
from daemon.stores.s3.sign import SigningKey
from daemon.stores.s3.store import S3Store
from daemon.stores.streams import RateLimit
from daemon.stores.values import BucketLocation, StoreSettings

DEFAULT_REGION = "us-east-1"


def s3_store(settings: StoreSettings, limit: RateLimit, clock: Clock) -> S3Store:
    """Return the engine; raises StoreUnusableError if a secret is missing, or `endpoint` is no address of a host."""
    assert isinstance(settings.location, BucketLocation)  # noqa: S101 — `open_store` chose us for it
    region = settings.region or DEFAULT_REGION
    url, path = _where(settings, settings.location.bucket, region)
    client = S3Client(S3Http(settings.name, url), path, _key(settings, region), clock)
    prefix = f"{settings.location.prefix}/" if settings.location.prefix else ""
    return S3Store(settings.name, client, prefix, limit, clock, parts_in=settings.parts_in)


def _key(settings: StoreSettings, region: str) -> SigningKey:
    given = settings.credentials
    if given.access_key_id is None or given.secret_access_key is None:
        raise StoreUnusableError(
            f"{settings.name}: access_key_id or secret_access_key is missing", hint="a store in S3 needs both"
        )
    return SigningKey(given.access_key_id.get_secret_value(), given.secret_access_key, region, given.session_token)


def _where(settings: StoreSettings, bucket: str, region: str) -> tuple[str, str]:
    """Return the host's url, and the bucket's path there.

    At AWS the bucket is in the host's name, unless a dot in it would not fit the certificate; every other service takes
    it in the path.
    """
    if settings.endpoint is not None:
        return _checked_endpoint(settings), f"/{bucket}"
    host = f"s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
    return (f"https://{host}", f"/{bucket}") if "." in bucket else (f"https://{bucket}.{host}", "")


def _checked_endpoint(settings: StoreSettings) -> str:
    with suppress(ValueError):
        parts = urlsplit(settings.endpoint or "")
        named = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0 and "@" not in parts.netloc
        if named and parts.path in {"", "/"} and not parts.query and not parts.fragment:
            return f"{parts.scheme}://{parts.netloc}"
    raise StoreUnusableError(
        f"{settings.name}: endpoint is not the address of a host", hint='write it as "https://s3.example.com"'
    )
