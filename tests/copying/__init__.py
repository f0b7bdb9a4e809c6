"""The daemon's own copying: the queue, the visits, the process."""
