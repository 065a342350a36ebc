"""The machines of a run: the container that its builds see, allocations of a scheduler, and what is looked at first."""
