"""What child pipelines left behind. Its command arrives with its own issue; nothing is offered yet."""
