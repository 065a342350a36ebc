"""Whether a mirror is complete, intact and signed by whom it should be."""
