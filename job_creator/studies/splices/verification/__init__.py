"""Splices that are really made, in a store of their own, and what becomes of them; held against what was predicted."""
