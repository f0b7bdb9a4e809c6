"""The daemon's own HTTP: health, metrics, the status as JSON, and the pages; loaded only where `[http]` asks for it.

It only shows. `site` listens inside the daemon's loop, `guard` says who may ask and how answers are fenced in, `app`
has the addresses, and the rest makes pages and documents of the views of daemon/status. No answer holds a secret.
"""
