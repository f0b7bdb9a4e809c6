"""The decisions, as functions of values: no I/O, no clock, no randomness; the standard library and cronsim alone.

`model` holds the values, `units` reads spans and sizes, `names` makes a backup's name from a template and recognises
it, and `calendar` knows the starts. `states` says whether a backup is good, failed or pending, `suspicion` whether it
is too small, `shrunk` what stays if it is, and `look` applies all of these to a listing. `keep` holds the retention
rules and `rules` what each of them keeps; `retention` judges, `plan` orders the deletions behind its `brake`, for which
`applied` says what was last applied, and `room` says which one goes at the panel's limit. `adoption`, `choose` and
`waiting` decide smaller questions of a rotation or a command, `restores` how a restore ended, `files` whether a server
has the files of an archive, `alerting` which alerts to send, `backoff` how long to wait before something is tried
again; `addresses` tells which addresses are unencrypted, and `words` names the first few of many.

`proof` says how far a backup is known to be restorable, `proof_due` which is read next, `proof_late` since when one is
missing, and `proven` what is kept and not deleted because of it; `drills` says which backup is tried next on a spare
server, and `console` what that showed.

`shares` says which member of a cluster acts for which part of the fleet, `cut_off` which one may not since it cannot
reach the panel, `spread` how many each is to hold then, and `agreement` where they would decide differently; `shares`
and `agreement` go by a `digest`.

Of copies, `copy` says what one is, `copies_layout` makes and reads keys, `copies_found` sorts a listing, `store_rules`
holds what a store takes and keeps, `copies_wanted` says what to copy, `copies_ways` from where, `copies_queue` which
server comes next, `copies_state` whether one is missing, and `copies_prune` what a store lets go; `copied` keeps a
backup on the panel until the stores have it, and `backlog` says how long there is room for those.
"""

__all__ = [
    "addresses",
    "adoption",
    "agreement",
    "alerting",
    "altered",
    "applied",
    "backlog",
    "backoff",
    "brake",
    "calendar",
    "choose",
    "clocks",
    "console",
    "copied",
    "copies_found",
    "copies_layout",
    "copies_lock",
    "copies_prune",
    "copies_queue",
    "copies_state",
    "copies_wanted",
    "copies_ways",
    "copy",
    "cron_words",
    "cut_off",
    "digest",
    "discover",
    "drills",
    "files",
    "ignored",
    "keep",
    "model",
    "names",
    "plan",
    "proof",
    "proof_due",
    "proof_late",
    "proven",
    "restores",
    "retention",
    "room",
    "shares",
    "shrunk",
    "states",
    "store_rules",
    "units",
    "waiting",
    "words",
]
