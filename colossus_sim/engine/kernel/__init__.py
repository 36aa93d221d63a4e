"""The engine again, as loops over arrays that numba compiles: same rules, same random streams, same bits.

It plays the features in `allow` and leaves every other scenario to the SimPy engine, which stays the one that
defines what a scenario means. What is rare and long (placing ranks, sharing links, step times, save periods) is
asked of the SimPy engine's own functions through one hook, and remembered.
"""
