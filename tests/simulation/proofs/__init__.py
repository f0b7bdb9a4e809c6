"""Proofs in the simulation: archives that are sound or damaged, who reads them, and what is held against it."""
