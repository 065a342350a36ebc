"""Container definitions: what stands below container_definitions/."""
