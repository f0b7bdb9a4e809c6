"""Daemons on virtual time, as the tests of whole rotations have them."""

from tests.whole.conftest import anyio_backend, daemons, kind, settings, virtual_clock

__all__ = ["anyio_backend", "daemons", "kind", "settings", "virtual_clock"]
