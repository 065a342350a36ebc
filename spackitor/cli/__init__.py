"""The commands of `spackitor` for click: options, and what is printed. Heavy imports stand in the functions."""
