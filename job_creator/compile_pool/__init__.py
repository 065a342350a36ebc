"""The compile pool: the compiles of one package on the cores of many nodes."""
