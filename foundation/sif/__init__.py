"""SIF files: their headers, what is in them, and the files of a container that they hold."""
