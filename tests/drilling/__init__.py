"""Drills over real sockets, on real time."""
