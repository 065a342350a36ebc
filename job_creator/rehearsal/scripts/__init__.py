"""Scripts that run inside Spack (`spack python`), in its interpreter; they import nothing of this project."""
