"""The panel client: the only place that knows httpx. Importing this package imports nothing."""
