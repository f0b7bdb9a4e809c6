"""Worlds of several members on one database: what is in them beside what one daemon's worlds have."""
