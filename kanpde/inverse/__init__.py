"""Unknown parameters and fields: their estimates, with errors, and the weight of noisy data."""
