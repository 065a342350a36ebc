"""`jc packages`: lists of packages, and lockfiles of all on them that can be concretized."""
