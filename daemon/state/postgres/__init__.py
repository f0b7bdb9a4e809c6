"""The engine on a PostgreSQL database that several daemons share; loaded only if a cluster is configured.

engine     what the rest of the daemon gets          journal    all records; one module for each idea beside it
connect    a connection as we need it                database   one connection, reconnected, used in turn
trouble    what asyncpg raises, as our errors        schema     the tables, and how earlier ones are brought to them
members    who is alive, and holds what (invariant 20)
"""
