"""The decisions, as functions of values: no I/O, no clock, no randomness; the standard library and cronsim alone.

`model` holds the values, `units` reads spans and sizes, `names` turns a template into a name and a name back into
"own", `calendar` says when, `keep` holds the rules, `retention` judges, and `plan` orders what follows from it.
"""
