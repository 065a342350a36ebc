"""OpenPGP: what keys and signatures are, and key rings that are thrown away."""
