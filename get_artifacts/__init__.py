"""`ga`: what the child pipelines of a running pipeline left behind, brought to where the next triggers look for it."""
