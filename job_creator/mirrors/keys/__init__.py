"""Keys that packages are signed with, and the rings that hold them."""
