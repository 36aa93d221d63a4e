"""Logs of real clusters as lists of jobs."""
