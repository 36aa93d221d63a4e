"""The model against published measurements: rows, their mapping to inputs, error metrics (below cli)."""
