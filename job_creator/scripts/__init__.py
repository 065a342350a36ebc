"""Shell of the generated jobs: templates and their rendering."""
