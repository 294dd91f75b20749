"""Products of splines, u = Σ c_ij… B_i(x) B_j(y)…, found by Newton's method to a tolerance."""
