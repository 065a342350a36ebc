"""The commands of publishing: each asks, prints its plan, and then does it."""

from job_creator.publishing.cli.sif import publish_sif, settle_sif, stage_sif
from job_creator.publishing.cli.upkeep import clean_branches, list_sif

COMMANDS = (settle_sif, stage_sif, publish_sif, list_sif, clean_branches)
