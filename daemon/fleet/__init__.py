"""Which rotation runs for which server, and when."""
