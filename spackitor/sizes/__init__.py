"""What takes the space in a mirror or an install tree, in groups: as a table, for programs, and as a picture."""
