"""What `jc check` says of environments."""
