"""What goes and what stays, and why. Pure."""
