"""Many runs of one scenario: sweeps over its fields, forecasts, inverse questions."""
