"""The daemon's own HTTP: health, metrics, the status as JSON, and the pages. It only shows.

`server` loads the rest only if `[http]` is configured. `site` listens inside the daemon's loop, `guard` says who may
ask and sets each answer's headers, `app` routes, and the rest makes pages of daemon/status. No answer holds a secret.
"""

__all__ = ["server"]
