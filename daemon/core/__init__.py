"""The decisions, as functions of values: no I/O, no clock, no randomness; the standard library and cronsim alone.

`model` holds the values, `units` reads spans and sizes, `names` turns a template into a name and a name back into
"own", and `calendar` says when. `states` tells what each backup is worth, with `suspicion` for what is too small
(`look` at a whole listing) and `shrunk` for what stays then;
`keep` holds the rules and `rules` what each of them keeps; `retention` judges, and `plan` orders what follows from it.
`adoption`, `choose` and `waiting` decide the small things of a rotation and of a command.
"""
