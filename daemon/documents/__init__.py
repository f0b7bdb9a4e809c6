"""The JSON documents, defined once for command line, web and alerts."""

__all__ = ["cluster", "commands", "copies", "drills", "operations", "proofs", "status", "stores"]
