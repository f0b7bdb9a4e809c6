"""The design and the map: whatever cites them can be followed, and whatever they name is there."""

import ast
import re
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from daemon.config.kinds import EventName
from daemon.core.keep import COUNT_RULES

ROOT = Path(__file__).parents[1]
CITATION = re.compile(r"\binvariants?\s+(\d+(?:(?:,\s*|\s+and\s+|,\s*and\s+)\d+)*)")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)


def tracked(*suffixes: str) -> list[Path]:
    """Every committed file with one of these suffixes."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 — our own words
    files = (ROOT / name for name in listed.stdout.split("\0") if name.endswith(suffixes))
    return [file for file in files if file.is_file()]


def cited(text: str) -> set[int]:
    """The numbers of all invariants that a text cites."""
    return {int(number) for numbers in CITATION.findall(text) for number in re.findall(r"\d+", numbers)}


def invariants() -> set[int]:
    """The numbers that the design has a heading for."""
    return {int(number) for number in re.findall(r"^### (\d+)\. ", (ROOT / "docs/design.md").read_text(), re.MULTILINE)}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dangling(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere, to a file or to a heading in it."""
    found = []
    for link in LINK.findall(page.read_text()):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            found.append(f"{page.relative_to(ROOT)}: {link}")
    return found


def test_the_invariants_are_numbered_without_a_gap() -> None:
    """A number is never given to another rule, and none is missing but one that the page says is reserved."""
    known = invariants()
    assert known == set(range(1, len(known) + 1))


def test_every_citation_of_an_invariant_can_be_followed() -> None:
    """In code, tests, scripts and docs."""
    known = invariants()
    wrong = {
        f"{file.relative_to(ROOT)}: invariant {number}"
        for file in tracked(".py", ".md", ".toml", ".sh")
        if file.name != "test_design.py"
        for number in cited(file.read_text()) - known
    }
    assert wrong == set()


def test_the_design_is_cited_by_what_obeys_it() -> None:
    """The numbers would otherwise say nothing to a reader of the code."""
    used = set().union(*(cited(file.read_text()) for file in tracked(".py", ".toml")))
    assert {3, 4, 5, 6, 9, 11, 12} <= used


def test_every_relative_link_leads_somewhere() -> None:
    """On every page that is committed."""
    assert [link for page in tracked(".md") for link in dangling(page)] == []


def test_the_readme_is_short_enough_to_be_read() -> None:
    """At most 200 lines: the rest is in the docs."""
    assert len((ROOT / "README.md").read_text().splitlines()) <= 200


def test_what_leads_nowhere_would_be_found(tmp_path: Path) -> None:
    """Else the tests above would prove nothing."""
    assert cited("see invariant 6, and invariants 2, 3 and 12; invariant\n7") == {6, 2, 3, 12, 7}
    page = ROOT / "docs/retention.md"
    assert anchors(page) >= {"the-rules", "an-example"}
    assert "no-such-heading" not in anchors(page)


def test_every_package_and_module_stands_on_the_map() -> None:
    """And nothing stands there that does not exist."""
    page = (ROOT / "ARCHITECTURE.md").read_text()
    mapped = set(re.findall(r"^\| `daemon/([\w.]+)/?` \|", page, re.MULTILINE))
    there = {path.name for path in (ROOT / "daemon").iterdir() if (path / "__init__.py").is_file()}
    there |= {path.name for path in (ROOT / "daemon").glob("*.py")} - {"__init__.py"}
    assert mapped == there


def test_every_file_that_a_recipe_names_exists() -> None:
    """To add a rule, a command and so on, these are to be touched."""
    recipes = (ROOT / "ARCHITECTURE.md").read_text().partition("## To add")[2]
    named = set(re.findall(r"`([\w./-]+\.(?:py|md|toml))`", recipes))
    assert len(named) > 25
    assert {name for name in named if not (ROOT / name).is_file()} == set()


def test_every_module_on_the_way_of_a_backup_exists() -> None:
    """The drawing names them below `daemon/`."""
    drawing = (ROOT / "ARCHITECTURE.md").read_text().partition("## The way of one backup")[2].partition("\n## ")[0]
    named = set(re.findall(r"\b((?:panel|core|rotation|fleet|status|alerts|state)/\w+(?:/\w+)?)", drawing))
    assert len(named) > 12
    assert {name for name in named if not (ROOT / "daemon" / f"{name}.py").is_file()} == set()


def defined(module: Path) -> set[str]:
    """What a module defines, methods with their class."""
    found = set()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            found |= {
                f"{node.name}.{inner.name}" for inner in ast.walk(node) if inner is not node and hasattr(inner, "name")
            }
    return found


def test_every_function_that_decides_exists() -> None:
    """A newcomer looks there first for where a backup's deletion is decided."""
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("## Where is it decided?")[2].partition("\n## ")[0]
    named = re.findall(r"`(\w+/\w+)\.(\w+(?:\.\w+)?)`", table)
    assert len(named) > 15
    assert [f"{module}.{name}" for module, name in named if name not in defined(ROOT / f"daemon/{module}.py")] == []


def recipe(heading: str) -> str:
    """Return what a recipe says, from its heading to the next one."""
    return (ROOT / "ARCHITECTURE.md").read_text().partition(f"### {heading}\n")[2].partition("\n### ")[0]


@pytest.mark.parametrize(
    ("heading", "listed", "besides"),
    [
        ("an alert event", {*get_args(EventName)} - {"done"}, {"CHANGELOG.md"}),
        (
            "a retention rule",
            {*COUNT_RULES},
            {
                "CHANGELOG.md",  # what was
                "benchmarks/core.py",  # a policy of its own
                "daemon/core/calendar.py",  # schedules such as @daily
                "tests/core/test_agreement.py",  # pins what is decided today
                "tests/core/test_calendar.py",
                "tests/core/test_wiped_world.py",
            },
        ),
    ],
)
def test_a_recipe_names_each_file_that_lists_all_of_its_kind(heading: str, listed: set[str], besides: set[str]) -> None:
    """A file that names all events, or all rules, needs the next one as well."""
    lists = {
        str(file.relative_to(ROOT))
        for file in tracked(".py", ".md", ".toml")
        if listed <= set(re.findall(r"[a-z_]+", file.read_text().lower()))
    }
    assert {name for name in lists - besides if f"`{name}`" not in recipe(heading)} == set()


@pytest.mark.parametrize(
    ("heading", "model", "besides"),
    [
        ("a retention rule", r"yearly|COUNT_RULES", set()),
        ("a command", r"schedule", {"daemon/cli/backups/app.py", "tests/test_imports.py"}),
        (
            "an alert event",
            r"\b(?i:suspicious|recovered)\b",
            {f"daemon/alerts/{name}.py" for name in ("memory", "copies", "proofs", "drills", "cluster")},
        ),
        (
            "a configuration key",
            r"timeout|PolicyTable|Duration",
            {"daemon/config/http.py", "daemon/config/stores.py", "daemon/config/opinion.py"},
        ),
    ],
)
def test_a_recipe_names_no_file_that_its_like_did_not_need(heading: str, model: str, besides: set[str]) -> None:
    """Each file of a recipe knows one that was added so; but those for another table, or only at times."""
    steps = "\n".join(re.findall(r"^\d\. .*|^ .*", recipe(heading), re.MULTILINE))
    files = set(re.findall(r"`([\w./-]+\.(?:py|md|toml))`", steps))
    assert len(files) > 7
    assert {file for file in files - besides if not re.search(model, (ROOT / file).read_text())} == set()
