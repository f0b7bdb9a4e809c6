"""From a store's settings to the engine: Google or Azure, each with the one kind of secret that it takes."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.store import AzureStore, GCSStore
from pydantic import SecretStr

from daemon.panel.proxies import UnusableProxyError, proxy_for
from daemon.stores.clouds.store import CloudStore
from daemon.stores.errors import StoreUnusableError
from daemon.stores.streams import RateLimit
from daemon.stores.values import BucketLocation, StoreSettings

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, RetryConfig

# obstore's own would be tried for three minutes, and give up a slow upload of one part after half a minute.
_RETRIES: "RetryConfig" = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}
_TIMES: "ClientConfig" = {
    "connect_timeout": timedelta(seconds=15),
    "read_timeout": timedelta(minutes=1),
    "timeout": timedelta(minutes=10),
}

_GOOGLE = "https://storage.googleapis.com"


def cloud_store(settings: StoreSettings, location: BucketLocation, limit: RateLimit) -> CloudStore:
    """Return the engine; raises StoreUnusableError if a secret is missing or unreadable, or a proxy cannot be used."""
    try:
        opened = _google(settings, location) if location.scheme == "gs" else _azure(settings, location)
    except StoreUnusableError:
        raise
    except Exception:  # noqa: BLE001 — obstore's words may hold the secret that it could not read
        opened = None
    if opened is None:
        raise StoreUnusableError(f"{settings.name}: the secret of the store cannot be read")
    return CloudStore(settings.name, opened, limit)


def _google(settings: StoreSettings, location: BucketLocation) -> GCSStore:
    key = _needed(settings, "service_account", settings.credentials.service_account)
    _refuse_bad_proxy(settings, _GOOGLE)
    return GCSStore(
        location.bucket,
        prefix=location.prefix or None,
        config={"service_account_key": key},
        client_options=_TIMES,
        retry_config=_RETRIES,
    )


def _azure(settings: StoreSettings, location: BucketLocation) -> AzureStore:
    account = _needed(settings, "account_name", settings.credentials.account_name)
    _refuse_bad_proxy(settings, settings.endpoint or f"https://{account}.blob.core.windows.net")
    config: AzureConfig = {
        "account_name": account,
        "account_key": _needed(settings, "account_key", settings.credentials.account_key),
    }
    options: ClientConfig = {**_TIMES}
    if settings.endpoint is not None:
        config["endpoint"] = settings.endpoint
        options["allow_http"] = settings.endpoint.startswith("http:")  # `check` warns of it
    return AzureStore(
        location.bucket,
        prefix=location.prefix or None,
        config=config,
        client_options=options,
        retry_config=_RETRIES,
    )


def _refuse_bad_proxy(settings: StoreSettings, url: str) -> None:
    """Refuse what obstore, which reads the environment too, would report as a service that does not answer."""
    try:
        proxy = proxy_for(url, os.environ)
    except UnusableProxyError as error:
        unusable = error
    else:
        if proxy is None or not proxy.is_socks:
            return
        unusable = UnusableProxyError(proxy.variable, "stores at Google and Azure cannot be reached through SOCKS")
    raise StoreUnusableError(f"{settings.name}: {unusable}", hint=unusable.hint)


def _needed(settings: StoreSettings, name: str, secret: SecretStr | None) -> str:
    if secret is None:
        raise StoreUnusableError(f"{settings.name}: {name} is missing")
    return secret.get_secret_value()
