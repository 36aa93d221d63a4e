"""Discrete-event simulator of very large AI training clusters and their roadmaps."""
