"""How long it takes to check, plan, pack and rehearse pipelines, and to fetch what they leave."""
