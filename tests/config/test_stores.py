"""The stores of copies: what is read of them, and each mistake with what would be right."""

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.stores.values import BucketLocation, DirectoryLocation
from tests.config.support import ENVIRONMENT, RIGHT, loaded, problems, write

NAS = '\n[stores.nas]\nurl = "file:///mnt/nas"\n'
OFFSITE = '\n[stores.offsite]\nurl = "s3://bucket/prefix"\n'
KEYS = {
    "PTERO_BACKUPD_STORES__OFFSITE__ACCESS_KEY_ID": "EXAMPLEID",
    "PTERO_BACKUPD_STORES__OFFSITE__SECRET_ACCESS_KEY": "EXAMPLEKEY",
}
AGE = "age1" + "q" * 58


def policy(line: str) -> str:
    """The right configuration with one more line in its policy."""
    return RIGHT.replace("keep =", f"{line}\nkeep =")


def test_a_folder_needs_no_more_than_its_url(tmp_path: Path) -> None:
    """It takes everything, and keeps it plain."""
    config = loaded(tmp_path, policy('copies = ["nas", "nas"]') + NAS)
    store = config.stores["nas"]
    assert store.settings.location == DirectoryLocation(Path("/mnt/nas"))
    assert (store.rules.keep.everything, store.rules.every, store.rules.backfill) == (True, None, None)
    assert (store.recipients, store.settings.rate) == ((), None)
    assert config.servers["survival"].policy.copies == ("nas",)
    assert config.warnings == ()


def test_a_bucket_has_its_keys_from_where_secrets_are_kept(tmp_path: Path) -> None:
    """Here: one from a file, the other from the environment."""
    (tmp_path / "id").write_text("FILEID\n")
    (tmp_path / "id").chmod(0o600)
    table = OFFSITE + 'access_key_id_file = "id"\nendpoint = "https://s3.example.com"\nregion = "eu-central-1"\n'
    table += f'encrypt_to = ["{AGE}"]\nrate = "20MiB"\nevery = "1d"\nbackfill = 5\nmin_good = 2\n'
    table += "keep = { daily = 14, yearly = -1 }\n"
    environ = {name: text for name, text in (ENVIRONMENT | KEYS).items() if not name.endswith("KEY_ID")}
    store = loaded(tmp_path, RIGHT + table, environ).stores["offsite"]
    given = store.settings.credentials
    assert given.access_key_id is not None
    assert given.secret_access_key is not None
    assert given.access_key_id.get_secret_value() == "FILEID"
    assert given.secret_access_key.get_secret_value() == "EXAMPLEKEY"
    assert "EXAMPLEKEY" not in repr(store)
    assert store.settings.location == BucketLocation("s3", "bucket", "prefix")
    assert (store.settings.endpoint, store.settings.region) == ("https://s3.example.com", "eu-central-1")
    assert (store.settings.rate, store.recipients) == (20 * 2**20, (AGE,))
    assert (str(store.rules.keep), store.rules.every, store.rules.backfill, store.rules.min_good) == (
        "daily=14,yearly=-1",
        timedelta(days=1),
        5,
        2,
    )


def test_no_backfill_is_none_at_all(tmp_path: Path) -> None:
    """By its word."""
    assert loaded(tmp_path, RIGHT + NAS + 'backfill = "none"\n').stores["nas"].rules.backfill == 0


# what is written → the key, words of the reason, words of the suggestion
MISTAKES = [
    (policy('copies = ["nsa"]') + NAS, "policies.standard.copies", "there is no such store", "did you mean nas?"),
    (policy('copies = "nas"') + NAS, "policies.standard.copies", "must be a list", ""),
    (RIGHT + 'copies = ["mars"]\n' + NAS, "servers.survival.copies", "there is no such store", "known here: nas"),
    (RIGHT + "[stores.nas]\n", "stores.nas.url", "is required", ""),
    (RIGHT + NAS.replace("file:///mnt", "/mnt"), "stores.nas.url", "is not a store's url: write one of", ""),
    (RIGHT + NAS.replace("file:///mnt", "file://mnt"), "stores.nas.url", "write file:///mnt/nas", ""),
    (RIGHT + NAS.replace("file:///mnt/nas", "s3://b"), "stores.nas.url", "no name of a bucket", ""),
    (RIGHT + NAS + "urll = 1\n", "stores.nas.urll", "unknown key", "did you mean url?"),
    (RIGHT + NAS + "keep = { dayly = 3 }\n", "stores.nas.keep.dayly", "unknown key", "did you mean daily?"),
    (RIGHT + NAS + "keep = {}\n", "stores.nas.keep", "holds no rule", ""),
    (RIGHT + NAS + 'every = "0s"\n', "stores.nas.every", "must be longer than nothing", ""),
    (RIGHT + NAS + "backfill = 0\n", "stores.nas.backfill", "must be a number, 1 or more", 'or "all", or "none"'),
    (RIGHT + NAS + 'rate = "fast"\n', "stores.nas.rate", "is not a size", ""),
    (RIGHT + NAS + 'encrypt_to = ["age1"]\n', "stores.nas.encrypt_to", "must be an age recipient", "age-keygen"),
    (RIGHT + NAS + 'region = "x"\n', "stores.nas.region", "belongs to a store in S3", "leave it out"),
    (RIGHT + NAS + 'secret_access_key = "x"\n', "stores.nas.secret_access_key", "does not belong into", "_file"),
    (RIGHT + OFFSITE + 'access_key_id = "x"\n', "stores.offsite.access_key_id", "does not belong into", "_ID"),
    ('state_dir = "none"\n' + RIGHT + NAS, "state_dir", "there can be no stores", "name a folder"),
    (RIGHT + NAS.replace("file:///mnt/nas", "sftp://u@h/x"), "stores.nas.url", "not there yet", "file: or s3:"),
]


@pytest.mark.parametrize(("text", "key", "reason", "suggestion"), MISTAKES)
def test_each_mistake_is_named_with_what_would_be_right(
    tmp_path: Path, text: str, key: str, reason: str, suggestion: str
) -> None:
    """By its key; where there is a second problem, it is another one."""
    found = [one for one in problems(write(tmp_path, text), ENVIRONMENT | KEYS) if one.key == key]
    assert len(found) == 1
    assert reason in found[0].reason
    assert suggestion in found[0].suggestion


def test_a_bucket_without_keys_is_refused_with_where_they_belong(tmp_path: Path) -> None:
    """Each of the two."""
    found = problems(write(tmp_path, RIGHT + OFFSITE))
    assert {one.key for one in found} == {
        "stores.offsite.access_key_id_file",
        "stores.offsite.secret_access_key_file",
    }
    assert "PTERO_BACKUPD_STORES__OFFSITE__ACCESS_KEY_ID" in found[0].suggestion


def test_a_password_in_a_url_is_not_shown(tmp_path: Path) -> None:
    """Nor is any value that may hold one."""
    (problem,) = problems(write(tmp_path, RIGHT + NAS.replace("file:///mnt/nas", "sftp://u:hunter2@h/x")))
    assert "hunter2" not in str(problem)
    assert "holds a password" in problem.reason


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    monkeypatch.setattr("daemon.config.stores.find_spec", lambda _: None)
    (problem,) = problems(write(tmp_path, RIGHT + NAS + f'encrypt_to = ["{AGE}"]\n'))
    assert (problem.key, problem.suggestion) == ("stores.nas.encrypt_to", "install ptero-backupd[age]")


def test_a_bucket_over_http_is_warned_of(tmp_path: Path) -> None:
    """On a network of one's own it may be meant."""
    text = RIGHT + OFFSITE + 'endpoint = "http://minio.lan:9000"\n'
    config = load(write(tmp_path, text), ENVIRONMENT | KEYS)
    assert config.warnings == (
        "stores.offsite.endpoint: by http others on the way can read the copies, and replace them",
    )
