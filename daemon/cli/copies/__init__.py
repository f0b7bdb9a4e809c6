"""The commands below `copies`."""
