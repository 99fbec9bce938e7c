"""The command line: one verb a file, and the only room that knows click and rich."""
