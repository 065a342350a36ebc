"""Whether a splice works, as far as facts tell it. Nothing here runs what it speaks of."""
