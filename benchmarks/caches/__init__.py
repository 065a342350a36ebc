"""How long it takes to clean, fill, verify and study caches."""
