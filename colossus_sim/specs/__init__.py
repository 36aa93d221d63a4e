"""Floor 2: frozen input records in SI units. Data only; validated once, at the border."""
