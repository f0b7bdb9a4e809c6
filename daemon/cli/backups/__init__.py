"""The commands below `backups`."""
