"""Stores of copies in the simulation: an engine in memory that fails in every way, and what is held against it."""
