"""Everything around package jobs: generating them for each environment, merging, preparing and packing them."""
