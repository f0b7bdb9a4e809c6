"""The mutants of a module: its source with one small mistake each.

The mistakes are mutmut's: numbers, texts, operators, arguments, assignments, branches. mutmut itself switches between
them in copies of the functions, and so leaves out what is outside of a function or decorated: the tables of the core,
its properties and its defaults. Here each mutant is a whole module, and all of that is mutated too. Left out are
types, decorators and docstrings, as with mutmut, and mutants that are the same code.
"""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst
from libcst.matchers import Assign, Call, Name, Subscript, matches
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import Mutation, MutationVisitor
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

from tests.mutation.page import Change

PACKAGE = "daemon.core"
TYPE_NAME = Assign(
    value=Subscript(value=Name("Literal") | Name("tuple") | Name("frozenset")) | Call(func=Name("TypeVar"))
)
"""Such as `Code = Literal["locked"]` or a TypeVar, which is there for the type checker alone."""


@dataclass(frozen=True)
class Mutant:
    """One mistake: what was changed, the whole source with it, and where it is."""

    change: Change
    source: str
    lines: range | None
    """The lines of the function that it is in, by which the tests that run it are found; None outside of functions."""

    @property
    def module(self) -> str:
        """The module that it stands in for."""
        return f"{PACKAGE}.{self.change.module}"

    def runs_in(self, lines: Collection[int]) -> bool:
        """Whether whoever runs these lines of the module can come across it."""
        return self.lines is None or any(line in self.lines for line in lines)


class Visitor(MutationVisitor):
    """mutmut's own, but decorated functions are mutated as well, and names for types are not."""

    def _skip_node_and_children(self, node: libcst.CSTNode) -> bool:
        if matches(node, TYPE_NAME):
            return True
        return not isinstance(node, libcst.FunctionDef) and super()._skip_node_and_children(node)


def mutants(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    source = path.read_text()
    wrapper = MetadataWrapper(libcst.parse_module(source))
    visitor = Visitor(mutation_operators, IgnoredCode(set(), set(), set()))
    wrapper.visit(visitor)
    positions = wrapper.resolve(PositionProvider)
    places = functions(ast.parse(source))
    seen = {meaning(source)}
    for mutation in visitor.mutations:
        mutated = applied(wrapper.module, mutation)
        code = meaning(mutated)
        if code in seen:
            continue
        seen.add(code)
        line = positions[mutation.original_node].start.line if mutation.original_node in positions else 0
        name, lines = next(((name, lines) for name, lines in places if line in lines), ("module", None))
        before, after = difference(source.splitlines(), mutated.splitlines())
        yield Mutant(Change(path.stem, name, before, after), mutated, lines)


def meaning(source: str) -> str:
    """The code without its layout, and without `strict` of zip, which complains of lists of two lengths, or never."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "zip":
            node.keywords.clear()
    return ast.dump(tree)


def applied(module: libcst.Module, mutation: Mutation) -> str:
    """The source with the mistake."""
    mutated = module.deep_replace(mutation.original_node, mutation.mutated_node)
    assert isinstance(mutated, libcst.Module)
    source: str = mutated.code
    return source


def functions(tree: ast.Module) -> list[tuple[str, range]]:
    """The functions and methods by name, and the lines that each takes."""
    bodies = {"": tree.body} | {f"{node.name}.": node.body for node in tree.body if isinstance(node, ast.ClassDef)}
    return [
        (owner + node.name, range(node.lineno, (node.end_lineno or node.lineno) + 1))
        for owner, body in bodies.items()
        for node in body
        if isinstance(node, ast.FunctionDef)
    ]


def difference(before: list[str], after: list[str]) -> tuple[str, str]:
    """The lines that differ, without what both begin and end with."""
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    tail = 0
    while tail < min(len(before), len(after)) - same and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    return joined(before[same : len(before) - tail]), joined(after[same : len(after) - tail])


def joined(lines: list[str]) -> str:
    """Several lines as one, with single blanks, as the page has it."""
    return " ".join(" ".join(lines).split())
