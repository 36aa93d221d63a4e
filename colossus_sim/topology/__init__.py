"""Floor 4: fabrics built from topology files; networkx only here and in network."""
