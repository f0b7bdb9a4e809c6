"""The daemon's life."""
