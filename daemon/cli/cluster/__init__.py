"""The commands that look after a cluster, and after where the state is."""
