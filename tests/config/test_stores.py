"""The stores of copies: what is read of them, and each mistake with what would be right."""

from datetime import timedelta
from pathlib import Path

import pytest

from daemon.config.load import load
from daemon.stores.values import BucketLocation, DirectoryLocation, SftpLocation
from tests.config.support import ENVIRONMENT, RIGHT, loaded, problems, write

NAS = '\n[stores.nas]\nurl = "file:///mnt/nas"\n'
OFFSITE = '\n[stores.offsite]\nurl = "s3://bucket/prefix"\n'
KEYS = {
    "PTERO_BACKUPD_STORES__OFFSITE__ACCESS_KEY_ID": "EXAMPLEID",
    "PTERO_BACKUPD_STORES__OFFSITE__SECRET_ACCESS_KEY": "EXAMPLEKEY",
}
SFTP = '\n[stores.sftp]\nurl = "sftp://backup@nas.lan/copies"\n'
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
    assert (store.recipients, store.settings.rate, store.max_deletions) == ((), None, 10)
    assert config.servers["survival"].policy.copies == ("nas",)
    assert config.warnings == ()


BEFORE = 'copies = ["nas", "offsite"]\ncopy_before_delete = ["nas"]'


def test_what_must_be_copied_before_it_is_deleted_is_known_with_the_rules_of_its_stores(tmp_path: Path) -> None:
    """A server's own key replaces the policy's."""
    text = policy(f'{BEFORE}\ncopy_before_delete_when_full = "make-room"').replace(
        "[servers.survival]", "[servers.survival]\ncopy_before_delete_unverified = true"
    )
    config = loaded(tmp_path, text + NAS + 'keep = { daily = 9 }\nevery = "1d"\n' + OFFSITE, ENVIRONMENT | KEYS)
    common, own = config.policies["standard"], config.servers["survival"].policy
    for one in (common, own):
        assert one.copy_before_delete == (config.stores["nas"].rules,)
        assert one.uncopied_may_go
    assert (common.unverified_counts, own.unverified_counts) == (False, True)
    assert config.warnings == ()


def test_without_it_nothing_waits(tmp_path: Path) -> None:
    """As it was before there were stores."""
    plain = loaded(tmp_path, policy('copies = ["nas"]') + NAS).policies["standard"]
    assert (plain.copy_before_delete, plain.uncopied_may_go, plain.unverified_counts) == ((), False, False)


FIRST = policy('copies = ["nas"]\ncopy_before_delete = ["nas"]')


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            FIRST.replace('before_delete = ["nas"]', 'before_delete = ["usb", "nas"]') + NAS,
            'policies.standard.copy_before_delete = "usb": is none of its copies ("nas"); add "usb" to copies',
        ),
        (
            FIRST.replace("[servers.survival]", "[servers.survival]\ncopies = []") + NAS,
            'servers.survival.copy_before_delete = "nas": is none of its copies (none); add "nas" to copies',
        ),
        (
            FIRST + NAS + "backfill = 5\n",
            "stores.nas.backfill = 5: policies.standard.copy_before_delete names this store, so it must take what the",
        ),
    ],
)
def test_a_store_that_would_never_have_the_copies_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """Backups would wait for ever."""
    (problem,) = problems(write(tmp_path, text))
    assert f"{problem.key} = {problem.value}: {problem.reason}; {problem.suggestion}".startswith(told)


def test_a_bucket_has_its_keys_from_where_secrets_are_kept(tmp_path: Path) -> None:
    """Here: one from a file, the other from the environment."""
    (tmp_path / "id").write_text("FILEID\n")
    (tmp_path / "id").chmod(0o600)
    table = OFFSITE + 'access_key_id_file = "id"\nendpoint = "https://s3.example.com"\nregion = "eu-central-1"\n'
    table += f'encrypt_to = ["{AGE}"]\nrate = "20MiB"\nevery = "1d"\nbackfill = 5\nmin_good = 2\nobject_lock = "30d"\n'
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
    assert store.object_lock == timedelta(days=30)
    assert (str(store.rules.keep), store.rules.every, store.rules.backfill, store.rules.min_good) == (
        "daily=14,yearly=-1",
        timedelta(days=1),
        5,
        2,
    )


def test_a_host_by_sftp_has_a_known_key_and_a_private_one(tmp_path: Path) -> None:
    """Both of many lines, as their files are."""
    (tmp_path / "known_hosts").write_text("nas.lan ssh-ed25519 AAAA\n")
    (tmp_path / "id").write_text("-----BEGIN\nsecret\n-----END\n")
    (tmp_path / "id").chmod(0o600)
    keys = 'known_hosts_file = "known_hosts"\nprivate_key_file = "id"\n'
    settings = loaded(tmp_path, RIGHT + SFTP + keys).stores["sftp"].settings
    assert settings.location == SftpLocation("backup", "nas.lan", 22, "/copies")
    assert settings.known_hosts == "nas.lan ssh-ed25519 AAAA\n"
    assert settings.credentials.private_key is not None
    assert settings.credentials.private_key.get_secret_value() == "-----BEGIN\nsecret\n-----END"


def test_azure_google_and_rclone_have_what_they_need(tmp_path: Path) -> None:
    """Each its own."""
    (tmp_path / "google.json").write_text('{\n  "type": "service_account"\n}\n')
    (tmp_path / "google.json").chmod(0o600)
    text = """
[stores.az]
url = "az://container"
account_name = "account"
[stores.gs]
url = "gs://bucket"
service_account_file = "google.json"
[stores.drive]
url = "rclone:drive:backups"
rclone_config_file = "rclone.conf"
"""
    environ = ENVIRONMENT | {"PTERO_BACKUPD_STORES__AZ__ACCOUNT_KEY": "EXAMPLE"}
    stores = loaded(tmp_path, RIGHT + text, environ).stores
    assert stores["az"].settings.credentials.account_key is not None
    assert stores["az"].settings.credentials.account_name is not None
    assert stores["gs"].settings.credentials.service_account is not None
    assert stores["drive"].settings.rclone_config == tmp_path / "rclone.conf"


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
    (RIGHT + NAS + 'object_lock = "30d"\n', "stores.nas.object_lock", "belongs to a store in S3", "leave it out"),
    (RIGHT + OFFSITE + 'object_lock = "47h"\n', "stores.offsite.object_lock", "must be at least 2d", 'or "off"'),
    (RIGHT + NAS + 'rate = "fast"\n', "stores.nas.rate", "is not a size", ""),
    (RIGHT + NAS + 'encrypt_to = ["age1"]\n', "stores.nas.encrypt_to", "must be an age recipient", "age-keygen"),
    (
        RIGHT + NAS + 'region = "x"\n',
        "stores.nas.region",
        "belongs to a store in S3, and this is a folder",
        "leave it out",
    ),
    (RIGHT + NAS + 'secret_access_key = "x"\n', "stores.nas.secret_access_key", "does not belong in", "_file"),
    (RIGHT + OFFSITE + 'access_key_id = "x"\n', "stores.offsite.access_key_id", "does not belong in", "_ID"),
    ('state_dir = "none"\n' + RIGHT + NAS, "state_dir", "there can be no stores", "name a folder"),
    (RIGHT + SFTP, "stores.sftp.known_hosts_file", "is required by a store by SFTP", ""),
    (RIGHT + SFTP, "stores.sftp", "neither private_key nor password is there", "private_key_file"),
    (RIGHT + SFTP + 'known_hosts_file = "gone"\n', "stores.sftp.known_hosts_file", "cannot be read", "ssh-keyscan"),
    (RIGHT + "[stores.az]\nurl = 'az://container'\n", "stores.az.account_name", "is required by a store at Azure", ""),
    (
        RIGHT + "[stores.az]\nurl = 'az://container'\n",
        "stores.az.account_key_file",
        "no account key for",
        "ACCOUNT_KEY",
    ),
    (RIGHT + "[stores.gs]\nurl = 'gs://bucket'\n", "stores.gs.service_account_file", "no service account for", ""),
    (RIGHT + NAS + 'rclone_config_file = "x"\n', "stores.nas.rclone_config_file", "belongs to a store by rclone", ""),
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
    """With the command that installs it."""
    monkeypatch.setattr("daemon.config.stores.find_spec", lambda _: None)
    (problem,) = problems(write(tmp_path, RIGHT + NAS + f'encrypt_to = ["{AGE}"]\n'))
    assert (problem.key, problem.suggestion) == ("stores.nas.encrypt_to", "pip install 'ptero-backupd[age]'")
    found = problems(write(tmp_path, RIGHT + SFTP))
    assert ("stores.sftp.url", "pip install 'ptero-backupd[sftp]'") in {(one.key, one.suggestion) for one in found}


def test_a_bucket_over_http_is_warned_of(tmp_path: Path) -> None:
    """On a network of one's own it may be meant."""
    text = RIGHT + OFFSITE + 'endpoint = "http://minio.lan:9000"\n'
    config = load(write(tmp_path, text), ENVIRONMENT | KEYS)
    assert config.warnings == (
        "stores.offsite.endpoint: by http others on the way can read the copies, and replace them",
    )


@pytest.mark.parametrize(
    "written",
    [
        'url = "az://cont/prefix?sv=2022&sig=TOPSECRET%3D"',
        'url = "https://acct.blob.core.windows.net/cont?sv=2022&sig=TOP SECRET"',
        'url = "az:cont?sig=TOPSECRET"',
        'url = "s3://bucket/prefix#TOPSECRET"',
        'url = "s3://key:TOPSECRET@bucket/prefix"',
        'url = "rclone::s3,secret_access_key=TOPSECRET:bucket"',
        'url = ["az://cont/prefix?sig=\\"TOPSECRET"]',
        'url = "s3://bucket"\nendpoint = "https://s3.example.com/?secret=TOPSECRET"',
        'url = "s3://bucket"\nregion = ["https://s3.example.com/?secret=TOPSECRET"]',
    ],
)
def test_what_may_be_a_secret_in_an_address_is_not_repeated(tmp_path: Path, written: str) -> None:
    """Such an address is copied whole from a cloud's console: it opens the store for whoever reads the log."""
    found = problems(write(tmp_path, f"{RIGHT}\n[stores.offsite]\n{written}\n"), ENVIRONMENT | KEYS)
    assert found
    for told in found:
        assert "SECRET" not in f"{told} {told.value}"


def test_nor_is_it_in_a_panel_s_address(tmp_path: Path) -> None:
    """Whether it is one or not."""
    for address in ("https://panel.example.com/?token=TOPSECRET", "panel.example.com?token=TOPSECRET"):
        (told,) = problems(write(tmp_path, RIGHT.replace("https://panel.example.com", address)))
        assert "SECRET" not in f"{told} {told.value}"
        assert told.value is not None
        assert "panel.example.com" in told.value


def two(first: str, second: str) -> str:
    """The right configuration with two stores."""
    return f"{RIGHT}\n[stores.first]\n{first}\n[stores.second]\n{second}\n"


S3 = 'access_key_id_file = "key"\nsecret_access_key_file = "key"'
AZURE = 'url = "az://copies/a"\naccount_key_file = "key"\naccount_name = '
HOST = 'password_file = "key"\nknown_hosts_file = "key"'


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('url = "file:///mnt/nas"', 'url = "file://localhost/mnt//nas/./"'),
        (f'url = "s3://bucket/a/"\n{S3}', f'url = "s3://bucket/a"\nendpoint = "https://s3.eu-1.amazonaws.com"\n{S3}'),
        (
            f'url = "s3://bucket"\nendpoint = "https://S3.lan"\n{S3}',
            f'url = "s3://bucket"\nendpoint = "https://s3.lan:443/"\n{S3}',
        ),
        (f'{AZURE}"one"', f'{AZURE}"one"\nendpoint = "https://one.blob.core.windows.net"'),
        (f'url = "sftp://a@nas.lan/copies/"\n{HOST}', f'url = "sftp://b@NAS.lan:22/copies"\n{HOST}'),
        ('url = "rclone:drive:copies"', 'url = "rclone:drive:/copies/"'),
    ],
)
def test_two_stores_that_are_one_place_are_refused(tmp_path: Path, first: str, second: str) -> None:
    """Each would delete by its own rules what the other keeps, and what counts as copied there."""
    (tmp_path / "key").write_text("EXAMPLE")
    (tmp_path / "key").chmod(0o600)
    (problem,) = problems(write(tmp_path, two(first, second)))
    assert problem.key == "stores.second.url"
    assert problem.reason.startswith("is the same place as stores.first.url = ")
    assert problem.value is not None
    assert problem.value.strip('"').split("@")[-1].casefold() in second.casefold()


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ('url = "file:///mnt/nas"', 'url = "file:///mnt/nas/inside"'),
        (f'url = "s3://bucket/a"\n{S3}', f'url = "s3://bucket/b"\n{S3}'),
        (f'url = "s3://bucket"\n{S3}', f'url = "s3://bucket"\nendpoint = "https://s3.lan"\n{S3}'),
        (f'{AZURE}"one"', f'{AZURE}"two"'),
        (f'url = "sftp://a@nas.lan/~/copies"\n{HOST}', f'url = "sftp://b@nas.lan/~/copies"\n{HOST}'),
        (f'url = "sftp://a@nas.lan/copies"\n{HOST}', f'url = "sftp://a@nas.lan:2222/copies"\n{HOST}'),
        ('url = "rclone:drive:copies"', 'url = "rclone:other:copies"'),
    ],
)
def test_two_stores_that_are_not_one_place_are_right(tmp_path: Path, first: str, second: str) -> None:
    """Also one inside the other's folder."""
    (tmp_path / "key").write_text("EXAMPLE")
    (tmp_path / "key").chmod(0o600)
    assert len(loaded(tmp_path, two(first, second)).stores) == 2
