"""The image: its file held against what is there, its health check against real daemons, its examples against `load`.

Building and running it takes a root file system and minutes: scripts/check-container does.
"""

import json
import re
import shlex
import socket
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from importlib.metadata import entry_points
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement

from daemon.config.load import load
from daemon.config.values import Config
from daemon.service.life import DRAIN_SECONDS, FLUSH_SECONDS
from tests.process.support import Panel, running, serving

ROOT = Path(__file__).parents[1]
HEALTHCHECK = ROOT / "container" / "healthcheck.py"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ADDRESS = "PTERO_BACKUPD_HTTP__LISTEN"
KEYS = {"panels.main.api_key": "ptlc_EXAMPLE", "http.token": "0123456789abcdefEXAMPLE"}

Instruction = tuple[str, str]


def instructions() -> list[Instruction]:
    """The Dockerfile's instructions with their arguments, each on one line."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (word, " ".join(rest.split())) for word, _, rest in (line.partition(" ") for line in text.splitlines()) if word
    ]


def arguments(word: str) -> list[str]:
    """The arguments of each instruction of that name."""
    return [rest for name, rest in instructions() if name == word]


def image_environment() -> dict[str, str]:
    """What the image sets."""
    return dict(pair.split("=", 1) for line in arguments("ENV") for pair in shlex.split(line))


def sources() -> Iterator[str]:
    """What is copied from this folder."""
    for line in arguments("COPY"):
        words = line.split()
        if not words[0].startswith("--from="):
            yield from words[:-1]


def sent(path: str) -> bool:
    """Whether the builder is sent this path: the last matching line of .dockerignore decides."""
    decided = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if line and not line.startswith("#"):
            pattern = line.removeprefix("!")
            parents = [path, *map(str, Path(path).parents)]
            named = Path(path).parts if pattern.startswith("**/") else parents
            if any(fnmatchcase(part, pattern.removeprefix("**/")) for part in named):
                decided = line.startswith("!")
    return decided


def test_every_file_that_the_image_copies_is_there_and_is_sent() -> None:
    """And the package and its build file are among them."""
    copied = list(sources())
    assert {"pyproject.toml", "constraints.txt", "daemon"} <= set(copied)
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert [path for path in copied if not sent(path)] == []


def test_what_the_build_file_names_is_copied() -> None:
    """A wheel is made of the package, the readme and the licence; without one of them the build fails."""
    named = {PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    named |= set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert named <= set(sources())


@pytest.mark.parametrize("path", ["panel.key", "config.toml", ".git", ".venv", "tests", "daemon/__pycache__"])
def test_nothing_else_is_sent_to_the_builder(path: str) -> None:
    """A key beside the Dockerfile reaches no layer and no cache."""
    assert not sent(path)


def test_the_image_runs_the_command_of_the_project_as_the_daemon() -> None:
    """The entry point is the command that pip installs; the daemon is what it runs by itself."""
    (command,) = json.loads(arguments("ENTRYPOINT")[0])
    assert [point.value for point in entry_points(group="console_scripts", name=command)] == ["daemon.__main__:main"]
    assert [json.loads(words) for words in arguments("CMD")] == [["run", "--log-to-stdout"]]


def test_the_image_needs_no_root_and_no_shell() -> None:
    """The user is given by number, so that an engine can see that it is not root; commands are lists of words."""
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", arguments("USER")[0])
    assert arguments("STOPSIGNAL") == ["SIGTERM"]
    assert all(words.startswith("[") for words in (*arguments("ENTRYPOINT"), *arguments("CMD")))
    assert "CMD [" in arguments("HEALTHCHECK")[0]
    assert image_environment()["PATH"].split(":")[0] == "/opt/ptero-backupd/bin"


def test_both_stages_have_the_same_python_and_it_is_a_supported_one() -> None:
    """A virtual environment works with the Python that made it alone; its minor version is pinned."""
    assert {line.split(" AS ")[0] for line in arguments("FROM")} == {"${BASE}"}
    (base,) = (words.removeprefix("BASE=") for words in arguments("ARG") if words.startswith("BASE="))
    version = re.fullmatch(r"python:(3\.\d+)-slim-\w+", base)
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["project"]["classifiers"]


def test_the_environment_is_made_with_the_versions_that_the_tests_passed_with() -> None:
    """The constraints hold in the image too, and what was made is what is copied and run."""
    _, make, install = arguments("RUN")[:3]
    (made,) = (words[3] for words in [make.replace("--without-pip ", "").split()])
    words = shlex.split(install)
    assert words[words.index("--constraint") + 1] in set(sources())
    assert words[words.index("--python") + 1] == f"{made}/bin/python"
    assert f"--from=build {made} {made}" in arguments("COPY")


def test_only_what_has_the_known_hash_gets_into_the_image() -> None:
    """What is fetched is held against the hashes, and what is installed is taken from nowhere else."""
    fetch, _, install = (shlex.split(words) for words in arguments("RUN")[:3])
    assert {"download", "--require-hashes", "--no-deps", "--only-binary=:all:"} <= set(fetch)
    assert fetch[fetch.index("--requirement") + 1] in set(sources())
    assert "--no-index" in install
    assert install[install.index("--find-links") + 1] == fetch[fetch.index("--dest") + 1]


def test_every_package_of_the_image_is_known_by_its_hash_and_of_the_tested_version() -> None:
    """All that the project and its extras ask for, and the build backend, which is of one version too."""
    text = (ROOT / "container/requirements.txt").read_text()
    pinned = pins(text)
    tested = pins((ROOT / "constraints.txt").read_text())
    assert {name: version for name, version in pinned.items() if tested.get(name, version) != version} == {}
    assert len(re.findall(r"^[\w.-]+==\S+(?: \\\n    --hash=sha256:[0-9a-f]{64})+$", text, re.MULTILINE)) == len(pinned)
    (backend,) = PROJECT["build-system"]["requires"]
    extras = PROJECT["project"]["optional-dependencies"]
    of_image = [wish for name in ("apprise", "gs", "az", "sftp", "age") for wish in extras[name]]
    wanted = [*PROJECT["project"]["dependencies"], *of_image, "socksio", backend]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(pinned[normal(requirement.name)]), requirement
    assert str(Requirement(backend).specifier).startswith("==")


def pins(text: str) -> dict[str, str]:
    """The versions by the packages' names."""
    return {normal(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


def normal(name: str) -> str:
    """A package's name as everybody spells it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check(address: str) -> subprocess.CompletedProcess[str]:
    """The health check, as the image runs it."""
    words = json.loads(arguments("HEALTHCHECK")[0].partition("CMD ")[2])
    assert words[0] == "python"
    assert f"container/{Path(words[-1]).name} {words[-1]}" in arguments("COPY")
    return subprocess.run(  # noqa: S603 — our own script
        [sys.executable, *words[1:-1], str(HEALTHCHECK)],
        env={ADDRESS: address},
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )


@pytest.fixture
def panel(tmp_path: Path) -> Iterator[Panel]:
    """A panel without servers."""
    with serving(tmp_path) as made:
        yield made


@pytest.mark.parametrize(("listen", "asked"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "0.0.0.0"), ("[::]", "[::]")])  # noqa: S104
def test_the_health_check_asks_the_daemon_itself(panel: Panel, free_port: int, listen: str, asked: str) -> None:
    """At the address that it was given in the environment, one for everybody included, and without the token."""
    panel.configure(panel.add_server(past=1))
    given: dict[str, Any] = {ADDRESS: f"{listen}:{free_port}", "PTERO_BACKUPD_HTTP__TOKEN": KEYS["http.token"]}
    with running(panel, **given) as daemon:
        daemon.wait_for("daemon_started")
        done = check(f"{asked}:{free_port}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "alive\n", "")
    gone = check(f"{asked}:{free_port}")
    assert gone.returncode == 1
    assert gone.stdout.startswith("no answer: ")


@pytest.fixture
def free_port() -> int:
    """A port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def documents(path: str) -> list[dict[str, Any]]:
    """What a YAML file holds."""
    return list(yaml.safe_load_all((ROOT / path).read_text()))


def compose() -> dict[str, Any]:
    """The daemon's service in the compose file."""
    services: dict[str, Any] = documents("compose.example.yaml")[0]["services"]
    return dict(services["ptero-backupd"])


def fragment_of_a_cluster() -> tuple[dict[str, Any], dict[str, Any]]:
    """What the guide to a cluster puts into the daemon's service of the compose file, and the secrets beneath it."""
    text = (ROOT / "docs/cluster.md").read_text()
    block = next(block for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL) if "hostname:" in block)
    whole = yaml.safe_load(f"services:\n  ptero-backupd:\n{block}")
    assert whole.keys() == {"services", "secrets"}
    return dict(whole["services"]["ptero-backupd"]), dict(whole["secrets"])


def sidecar() -> tuple[dict[str, Any], dict[str, Any]]:
    """The pod of the Kubernetes example, and the daemon's container in it."""
    pod = documents("docs/kubernetes.example.yaml")[1]["spec"]["template"]["spec"]
    return pod, next(container for container in pod["containers"] if container["name"] == "ptero-backupd")


def docker_run() -> dict[str, str]:
    """The environment of the command in the guide."""
    text = (ROOT / "docs/container.md").read_text()
    command = next(block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "docker run" in block)
    words = shlex.split(command.replace("\\\n", " "))
    return dict(value.split("=", 1) for option, value in pairwise(words) if option == "--env")


def configured(environment: Mapping[str, str], folder: Path) -> Config:
    """What a container of ours is told; ConfigError where it is wrong. Secrets lie in the folder."""
    for name, text in {**KEYS, "panel_key": "ptlc_EXAMPLE"}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    moved = {
        name: re.sub(r"/run/secrets(/ptero-backupd)?", str(folder), value)
        for name, value in {**image_environment(), **environment}.items()
    }
    return load(None, moved)


def warnings(environment: Mapping[str, str], folder: Path) -> tuple[str, ...]:
    """What is unwise in it."""
    return configured(environment, folder).warnings


def test_the_compose_example_is_a_configuration(tmp_path: Path) -> None:
    """Whole, from the environment alone, and unwise in nothing but what its comment says."""
    said = warnings(compose()["environment"], tmp_path)
    assert all("allow_http" in warning or "http:" in warning for warning in said), said


def test_the_compose_example_with_the_lines_of_a_cluster_is_the_configuration_of_a_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is the container's; each secret that it reads is mounted, and has a file that the guide says to make."""
    service, secrets = fragment_of_a_cluster()
    whole = {**compose(), **service, "environment": {**compose()["environment"], **service["environment"]}}
    secrets |= documents("compose.example.yaml")[0]["secrets"]
    assert set(whole["secrets"]) == secrets.keys()
    assert whole["environment"]["PTERO_BACKUPD_CLUSTER__URL_FILE"].removeprefix("/run/secrets/") in secrets
    (tmp_path / "postgres_url").write_text(url := "postgresql://backupd:EXAMPLE@db.example.com/backupd")
    (tmp_path / "postgres_url").chmod(0o600)
    monkeypatch.setattr("socket.gethostname", lambda: whole["hostname"])
    cluster = configured(whole["environment"], tmp_path).cluster
    assert cluster is not None
    assert (cluster.url.get_secret_value(), cluster.member) == (url, "backup-1")


def test_the_kubernetes_example_is_a_configuration(tmp_path: Path) -> None:
    """Its secret holds what its variables leave out, under the names that the daemon looks for."""
    secret = documents("docs/kubernetes.example.yaml")[0]["stringData"]
    assert secret == KEYS | {"http.token": "EXAMPLE"}
    _, container = sidecar()
    assert warnings({one["name"]: one["value"] for one in container["env"]}, tmp_path) == ()


def test_the_example_of_a_cluster_is_a_configuration_of_two_members_that_are_never_in_one_place(tmp_path: Path) -> None:
    """Each has its pod's name, and what the pods have in common selects them."""
    secret, service, budget, members = documents("docs/cluster.example.yaml")
    assert secret["stringData"].keys() == KEYS.keys() | {"cluster.url"}
    (tmp_path / "cluster.url").write_text(secret["stringData"]["cluster.url"])
    (tmp_path / "cluster.url").chmod(0o600)
    pod = members["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    environment = {one["name"]: one.get("value", "backupd-0") for one in container["env"]}
    assert warnings(environment, tmp_path) == ()
    named = next(one for one in container["env"] if "valueFrom" in one)
    assert named == {
        "name": "PTERO_BACKUPD_CLUSTER__MEMBER",
        "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
    }
    (apart,) = pod["spec"]["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    labels = pod["metadata"]["labels"]
    selecting = (members["spec"]["selector"], budget["spec"]["selector"], apart["labelSelector"])
    assert all(one == {"matchLabels": labels} for one in selecting)
    assert service["spec"]["selector"] == labels
    assert (members["spec"]["replicas"], budget["spec"]["minAvailable"]) == (2, 1)
    _, lonely = sidecar()
    assert container["securityContext"] == lonely["securityContext"]
    assert pod["spec"]["terminationGracePeriodSeconds"] > DRAIN_SECONDS + FLUSH_SECONDS


def test_the_command_of_the_guide_is_a_configuration(tmp_path: Path) -> None:
    """What a reader copies works."""
    assert warnings(docker_run(), tmp_path) == ()


def test_the_examples_give_the_daemon_time_to_finish_and_nothing_that_it_does_not_need() -> None:
    """More than it takes at most; a read-only root, no capability, no way to more rights, the image's user."""
    pod, container = sidecar()
    service = compose()
    longest = DRAIN_SECONDS + FLUSH_SECONDS
    assert int(service["stop_grace_period"].removesuffix("s")) > longest
    assert pod["terminationGracePeriodSeconds"] > longest
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    context = container["securityContext"]
    user, group = arguments("USER")[0].split(":")
    assert (str(context["runAsUser"]), str(context["runAsGroup"])) == (user, group)
    assert context["readOnlyRootFilesystem"]
    assert context["runAsNonRoot"]
    assert not context["allowPrivilegeEscalation"]
    assert context["capabilities"] == {"drop": ["ALL"]}


def test_the_probes_of_the_example_ask_where_the_daemon_listens() -> None:
    """At /healthz alone: a sidecar that is not ready must not take the panel out of its service."""
    _, container = sidecar()
    listen = next(one["value"] for one in container["env"] if one["name"] == ADDRESS)
    (port,) = container["ports"]
    assert str(port["containerPort"]) == listen.rpartition(":")[2]
    for probe in ("startupProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/healthz", "port": port["name"]}
    assert "readinessProbe" not in container
