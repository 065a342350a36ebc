"""The jobs really run, in shells of this machine."""
