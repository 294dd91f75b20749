"""The residual: a pointwise function of coordinates and derivatives, recorded once and evaluated
anywhere."""
