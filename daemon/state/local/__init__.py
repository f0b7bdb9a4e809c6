"""The local engine of the state: SQLite, locks of the operating system, one folder."""
