"""Splices: which binaries of a cache may stand in for others, predicted from what their files say, and proved."""
