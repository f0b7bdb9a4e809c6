"""The daemon copies by itself: which server, when, and by whom.

process   the process that does all that touches a store, seen from the daemon
"""
