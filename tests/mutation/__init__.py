"""Mutation testing of daemon/core: small mistakes, made one at a time, and whether the tests of the core notice.

`mutants` makes them, with mutmut's operators; `trial` runs the tests against one, each in a process of its own;
`page` reads what README.md says of those that no test can notice. `./scripts/mutate` runs it all. No test of the
suite imports `mutants`, `trial` or `__main__`, since mutmut is installed by that script alone.
"""
