"""The daemon's life, and what systemd is told."""
