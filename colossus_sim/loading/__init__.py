"""Floor 3: from YAML files, catalogs and overrides to a frozen Scenario that knows where each value is from."""
