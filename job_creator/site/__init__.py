"""The site file, a module for each subject."""
