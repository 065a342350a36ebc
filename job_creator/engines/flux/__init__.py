"""Steps as jobs of Flux."""
