"""tests/mutation/README.md tells of the core as it is."""

import ast
from pathlib import Path

import pytest

import daemon.core
from tests.mutation.page import PAGE, Change, listed

CORE = Path(daemon.core.__file__).parent
CHANGES = list(listed(PAGE.read_text()))


def code(module: str, function: str) -> str:
    """The source of a function, or of the whole module, in one line with single blanks, as the page has it."""
    source = (CORE / f"{module}.py").read_text()
    node: ast.AST = ast.parse(source)
    for name in function.split(".") if function != "module" else ():
        node = next(child for child in ast.iter_child_nodes(node) if getattr(child, "name", None) == name)
    text = source if isinstance(node, ast.Module) else ast.get_source_segment(source, node) or ""
    return " ".join(text.split())


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: f"{change.module}.{change.function}")
def test_each_line_that_cannot_be_tested_further_is_still_there(change: Change) -> None:
    """An excuse for code that has changed is none."""
    assert change.before in code(change.module, change.function)
    assert change.before != change.after


def test_nothing_is_excused_twice() -> None:
    """One reason is enough."""
    assert len(CHANGES) == len(set(CHANGES))


@pytest.mark.parametrize(
    "section",
    ["- `f`: `a` becomes `b`.", "A reason:", "A reason:\n\n- `f`: `a` turns into `b`.", "A reason:\n\n- `f`: `a`"],
)
def test_an_excuse_that_cannot_be_read_is_refused(section: str) -> None:
    """It would excuse nothing, and nobody would notice."""
    with pytest.raises(ValueError, match=r"^tests/mutation/README.md, plan: "):
        list(listed(f"# Mutants\n\n### `plan`\n\n{section}\n"))
