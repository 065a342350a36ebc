"""The whole chain on one machine, before anybody pushes: played in virtual time, or really run."""
