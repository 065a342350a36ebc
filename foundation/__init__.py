"""What `jc`, `ga` and `spackitor` stand on. Knows none of the three commands."""
