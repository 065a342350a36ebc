"""`jc audit`: whether what Spack installed in a container can run where it says it runs."""
