"""Daemons that are broken on purpose, one careless change each; nothing here is a test."""

from tests.simulation.builds import (
    clustering,
    deleting,
    judging,
    proving,
    sharing_stores,
    starting,
    storing,
    telling,
    writing,
)
from tests.simulation.builds.registry import BREAKS, Break

__all__ = [
    "BREAKS",
    "Break",
    "clustering",
    "deleting",
    "judging",
    "proving",
    "sharing_stores",
    "starting",
    "storing",
    "telling",
    "writing",
]
