"""Steps as jobs of Slurm."""
