"""What a newcomer starts from: a site, and definitions of containers."""
