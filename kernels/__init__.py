"""Spline-KAN layers on jets: the plain reference and the operators registered with torch.library."""

from kanpde.kernels.ops import spline_jet as spline_jet
from kanpde.kernels.ops import spline_jet_adjoint as spline_jet_adjoint
from kanpde.kernels.ops import spline_jet_jacobian as spline_jet_jacobian
