"""A standby of the cluster's database: what it has not heard of is lost once it takes the primary's place."""

from copy import deepcopy

from tests.simulation.cluster.tables import Tables


class Standby:
    """The tables as they were when it heard of the primary last, `since` that moment."""

    def __init__(self, tables: Tables, since: float) -> None:
        self.since = since
        self._rows = deepcopy({name: vars(tables)[name] for name in Tables.ROWS})
        with tables.journal.raw() as connection:
            self._journal = connection.serialize()

    def take_the_place_of(self, tables: Tables) -> None:
        """Be promoted: whoever was connected to the primary has lost that."""
        vars(tables).update(self._rows)
        with tables.journal.raw() as connection:
            connection.deserialize(self._journal)
        tables.timeline += 1
