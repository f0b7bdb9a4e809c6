"""The faces of the packages: what outsiders may import from a package is what `__all__` of its `__init__` names.

An `__all__` may name submodules that the `__init__` does not import, so a face costs nothing at start. Tests may look
inside.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]


def sources(folder: str = "daemon") -> dict[str, str]:
    """The text of each module, by its dotted name; a package's is that of its `__init__`."""
    files = {file.relative_to(ROOT).with_suffix(""): file for file in (ROOT / folder).rglob("*.py")}
    return {".".join(path.parts).removesuffix(".__init__"): file.read_text() for path, file in files.items()}


def imported(source: str) -> Iterator[str]:
    """The dotted names of all that a module imports, within functions and for types too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def face(source: str) -> set[str]:
    """The names in the `__all__` of an `__init__`."""
    for node in ast.parse(source).body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return set(ast.literal_eval(value))
    return set()


def packages(modules: Mapping[str, str]) -> set[str]:
    """The packages directly below `daemon`; what lies below them is their own affair."""
    return {module.split(".")[1] for module in modules if module.startswith("daemon.") and module.count(".") > 1}


def uses(modules: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Each module, a package that it is no part of, and what it imports from that."""
    there = packages(modules)
    for module, source in modules.items():
        for target in imported(source):
            root, package, name = (*target.split("."), "", "")[:3]
            if root == "daemon" and package in there and name and not f"{module}.".startswith(f"daemon.{package}."):
                yield module, package, name


def trespasses(modules: Mapping[str, str]) -> list[str]:
    """What is imported past a package's face."""
    faces = {package: face(modules[f"daemon.{package}"]) for package in packages(modules)}
    return sorted(
        f"{module} imports {name} of daemon/{package}"
        for module, package, name in uses(modules)
        if name not in faces[package]
    )


def unused(modules: Mapping[str, str]) -> list[str]:
    """What a face names, and no other package imports."""
    used = {(package, name) for _, package, name in uses(modules)}
    return sorted(
        f"daemon/{package} names {name}"
        for package in packages(modules)
        for name in face(modules[f"daemon.{package}"])
        if (package, name) not in used
    )


def test_a_package_is_used_by_what_its_face_names() -> None:
    """Whatever else it holds may change without a look at the other packages."""
    assert trespasses(sources()) == []


def test_a_face_names_nothing_that_no_other_package_uses() -> None:
    """Else it would promise more than it must; the benchmarks count as users."""
    assert unused(sources() | sources("benchmarks")) == []


def test_what_reaches_past_a_face_would_be_found() -> None:
    """By either way to write an import, within a function too; a package is free within itself."""
    inside = {
        "daemon": "",
        "daemon.panel": '__all__ = ["client", "errors"]',
        "daemon.panel.client": "from daemon.panel.transport import Transport",
        "daemon.panel.transport": "import httpx",
    }
    assert (
        trespasses(inside | {"daemon.web": "", "daemon.web.app": "from daemon.panel.client import PanelClient"}) == []
    )
    for line in (
        "from daemon.panel.transport import T",
        "from daemon.panel import transport",
        "import daemon.panel.transport",
    ):
        reaching = inside | {"daemon.web": "", "daemon.web.app": f"def run():\n    {line}"}
        assert trespasses(reaching) == ["daemon.web.app imports transport of daemon/panel"]
    assert unused(inside | {"daemon.log": "from daemon.panel.client import PanelClient"}) == [
        "daemon/panel names errors"
    ]
