"""What is in a container, written down as auditors ask for it: CycloneDX and SPDX."""
