"""Whole chains, with everything real but the machines that they run on."""
