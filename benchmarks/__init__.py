"""Measurements that are too slow for the tests; README.md says what came of them."""
