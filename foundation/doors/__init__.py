"""The ways out of the program: files, processes, git, HTTP."""
