"""Base images and containers: what each has to be, whether that is published, and the jobs that make it so."""
