"""Floor 5: rank mesh, communication groups, placement, and the time of their collectives."""
