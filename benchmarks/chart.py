"""A curve as an SVG of a few KB: measured points and the ideal line, readable on a light and on a dark page.

Written by hand, since a plotting library would be a large thing to install for three curves in two sets of colours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log10
from pathlib import Path
from xml.sax.saxutils import escape

DOCS = Path(__file__).parent.parent / "docs"

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 72, 596, 44, 344
_STEPS = 5
_COLOURS = ("a", "b", "c", "d")
_STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600; font-size: 15px }
  .grid { stroke: #d0d7de } .line { fill: none; stroke-width: 2 } .dashed { stroke-dasharray: 6 5 }
  .a { stroke: #0969da } .b { stroke: #6e7781 } .c { stroke: #bc4c00 } .d { stroke: #8250df }
  circle.a { fill: #0969da } circle.b { fill: #6e7781 } circle.c { fill: #bc4c00 } circle.d { fill: #8250df }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .grid { stroke: #3d444d }
    .a { stroke: #4493f8 } .b { stroke: #9198a1 } .c { stroke: #f0883e } .d { stroke: #ab7df8 }
    circle.a { fill: #4493f8 } circle.b { fill: #9198a1 } circle.c { fill: #f0883e } circle.d { fill: #ab7df8 }
  }
"""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A name for the legend, and points from left to right; an ideal is dashed and has no dots."""

    name: str
    points: Sequence[Point]
    ideal: bool = False


@dataclass(frozen=True, slots=True)
class Axis:
    """What it counts, with the unit; a logarithmic one shows whole powers of ten."""

    label: str
    logarithmic: bool = False

    def marks(self, values: Sequence[float]) -> list[float]:
        """The values with a line through the chart, the first and the last around all that is shown."""
        if self.logarithmic:
            shown = [_power(value) for value in values]
            return [10.0**power for power in range(min(shown), max(shown) + _rest(max(values)) + 1)]
        step = _round_step(max(values) / _STEPS)
        return [step * number for number in range(int(-(-max(values) // step)) + 1)]

    def place(self, marks: Sequence[float]) -> Callable[[float], float]:
        """Return how far along the axis a value lies, from 0 to 1."""
        scale = log10 if self.logarithmic else float
        low, high = scale(marks[0]), scale(marks[-1])
        return lambda value: (scale(value) - low) / (high - low)


def draw(name: str, title: str, *, across: Axis, up: Axis, curves: Sequence[Curve]) -> Path:
    """Write docs/`name` (an .svg) with up to four curves, and return where it is."""
    points = [point for curve in curves for point in curve.points]
    across_marks, up_marks = across.marks([x for x, _ in points]), up.marks([y for _, y in points])
    along, above = across.place(across_marks), up.place(up_marks)

    def at(point: Point) -> Point:
        return _LEFT + along(point[0]) * (_RIGHT - _LEFT), _BOTTOM - above(point[1]) * (_BOTTOM - _TOP)

    parts = [f'<text class="title" x="{_LEFT}" y="26">{escape(title)}</text>']
    parts += _across(across, [(mark, at((mark, up_marks[0]))[0]) for mark in across_marks])
    parts += _up(up, [(mark, at((across_marks[0], mark))[1]) for mark in up_marks])
    for number, curve in enumerate(curves):
        parts += _curve(curve, _COLOURS[number], [at(point) for point in curve.points])
        parts += _legend(curve, _COLOURS[number], _TOP + 18 + 20 * number)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
    text = "\n".join([f'{head} aria-label="{escape(title)}">', f"<style>{_STYLE}</style>", *parts, "</svg>\n"])
    file = DOCS / name
    file.write_text(text, encoding="utf-8")
    return file


def _across(axis: Axis, marks: Sequence[Point]) -> list[str]:
    lines = [f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{_BOTTOM}"/>' for _, x in marks]
    words = [f'<text text-anchor="middle" x="{x:.1f}" y="{_BOTTOM + 18}">{mark:,.12g}</text>' for mark, x in marks]
    middle = (_LEFT + _RIGHT) / 2
    return [*lines, *words, f'<text text-anchor="middle" x="{middle}" y="{_BOTTOM + 42}">{escape(axis.label)}</text>']


def _up(axis: Axis, marks: Sequence[Point]) -> list[str]:
    lines = [f'<line class="grid" x1="{_LEFT}" x2="{_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>' for _, y in marks]
    words = [f'<text text-anchor="end" x="{_LEFT - 6}" y="{y + 4:.1f}">{mark:,.12g}</text>' for mark, y in marks]
    middle = (_TOP + _BOTTOM) / 2
    turned = f'<text text-anchor="middle" transform="translate(16 {middle}) rotate(-90)">{escape(axis.label)}</text>'
    return [*lines, *words, turned]


def _curve(curve: Curve, colour: str, places: Sequence[Point]) -> list[str]:
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    line = f'<polyline class="line {colour}{" dashed" if curve.ideal else ""}" points="{joined}"/>'
    dots = [] if curve.ideal else [f'<circle class="{colour}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in places]
    return [line, *dots]


def _legend(curve: Curve, colour: str, y: int) -> list[str]:
    sample = _curve(curve, colour, [(_LEFT + 14, y - 4), (_LEFT + 44, y - 4)])
    return [*sample, f'<text x="{_LEFT + 52}" y="{y}">{escape(curve.name)}</text>']


def _power(value: float) -> int:
    """The greatest whole power of ten that is not more than the value."""
    return int(log10(value) // 1)


def _rest(value: float) -> bool:
    """Whether the value is no whole power of ten itself."""
    return 10.0 ** _power(value) < value


def _round_step(least: float) -> float:
    """The next 1, 2, 5 or 10 times a power of ten."""
    power = 10.0 ** _power(least)
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= least)
