"""Steps as tasks of Ray (extra `ray`)."""
