"""SIF files in the folders of clusters."""
