"""The JSON documents, once, for command line, web and alerts."""
