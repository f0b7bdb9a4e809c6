"""One rotation of one server: `rotate` runs it, the other modules are its steps."""
