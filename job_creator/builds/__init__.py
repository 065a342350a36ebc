"""The build graph as work: which package is built how, of whatever engine runs it."""
