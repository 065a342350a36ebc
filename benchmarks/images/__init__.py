"""How long it takes to publish what is built."""
