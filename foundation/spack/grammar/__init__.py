"""Spack's spec strings: what they say, or where and why Spack would refuse them."""
