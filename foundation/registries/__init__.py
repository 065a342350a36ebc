"""Registries of images: references, logins, and what they answer."""
