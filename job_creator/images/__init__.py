"""Base images and published images: what each has to be, what is known of it, what is decided."""
