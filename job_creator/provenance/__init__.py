"""Where what is published comes from: signed statements, and what they prove."""
