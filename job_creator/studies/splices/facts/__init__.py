"""What the files of binaries say of themselves, kept by the checksums of their content."""
