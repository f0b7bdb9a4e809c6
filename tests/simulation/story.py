"""A failing run as a short story: cut down to the trouble that it needs, and told by its last events."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from tests.simulation.checker import TITLES
from tests.simulation.cluster.world import simulate_cluster
from tests.simulation.run import Report, simulate

ROOT = Path(__file__).parents[2]
SHOWN = 60
FEWEST_HALVINGS = 6


@dataclass(frozen=True, slots=True)
class Cut:
    """A seed with the kinds that are switched off and the length of its troubled time: of one daemon, or a cluster."""

    seed: int
    without: tuple[str, ...] = ()
    length: float = 1.0
    cluster: bool = False

    def play(self) -> Report:
        """Play it."""
        play = simulate_cluster if self.cluster else simulate
        return play(self.seed, without=self.without, length=self.length)

    def command(self) -> str:
        """How to play it again."""
        words = ["./scripts/simulate", *(["--cluster"] if self.cluster else []), f"--seed {self.seed}"]
        if self.length != 1.0:
            words.append(f"--length {self.length}")
        words += [f'--without "{kind}"' for kind in self.without]
        return " ".join(words)


def shrink(report: Report, say: Callable[[str], None] = lambda _: None) -> tuple[Cut, Report]:
    """Given a run that broke a rule, return the shortest and quietest one found that breaks the same rule."""
    broken = report.violation
    if broken is None:
        raise ValueError(f"seed {report.seed} breaks no rule")
    best, told = Cut(report.seed, cluster=report.cluster), report

    def tried(cut: Cut) -> bool:
        nonlocal best, told
        again = cut.play()
        if again.violation is None or again.violation.rule != broken.rule:
            return False
        best, told = cut, again
        return True

    for kind in sorted(report.kinds):
        tried(replace(best, without=(*best.without, kind)))
    for _ in range(FEWEST_HALVINGS):
        if not tried(replace(best, length=best.length / 2)):
            break
    say(f"cut down from {len(report.story)} to {len(told.story)} events")
    return best, told


def told(report: Report, cut: Cut, *, shown: int = SHOWN) -> str:
    """The story of a run that broke a rule."""
    broken = report.violation
    if broken is None:
        return f"seed {report.seed} breaks no rule"
    name = report.names.get(broken.server or "", "the service")
    lines = [
        f"seed {report.seed} breaks rule {broken.rule} ({TITLES[broken.rule]}) for {name}:",
        f"    {broken.text}",
        f"play it again: {cut.command()}{_commit()}",
        f"it needs: {', '.join(report.kinds) or 'no trouble at all'}",
        "",
    ]
    return "\n".join([*lines, *_events(report, broken.server, shown)])


def told_whole(report: Report) -> str:
    """The story of a run from its beginning, in the same lines, whether it broke a rule or not."""
    return "\n".join(_events(report, None, len(report.story)))


def _commit() -> str:
    """Of this checkout: on another one a seed deals other cards."""
    words = ["git", "rev-parse", "--short", "HEAD"]
    asked = subprocess.run(words, check=False, cwd=ROOT, capture_output=True, text=True)  # noqa: S603
    return f"    # at commit {asked.stdout.strip()}" if asked.returncode == 0 else ""


def _events(report: Report, server: str | None, shown: int) -> Sequence[str]:
    """The last events that concern the server or everybody."""
    concerned = [event for event in report.story if server is None or event.server in {None, server}]
    earlier = max(0, len(concerned) - shown)
    head = [f"… {earlier} earlier events"] if earlier else []
    return head + [
        f"{report.begins + timedelta(seconds=event.at):%m-%d %H:%M:%S}  "
        f"{report.names.get(event.server or '', ''):<4}{event.text}"
        for event in concerned[earlier:]
    ]
