"""KAN layers on jets: the plain kernels and the operators registered with torch.library."""

from kanpde.kernels.damping_ops import damping_judged as damping_judged
from kanpde.kernels.damping_ops import damping_rescaled as damping_rescaled
from kanpde.kernels.expansion_ops import expansion_jet as expansion_jet
from kanpde.kernels.expansion_ops import expansion_jet_adjoint as expansion_jet_adjoint
from kanpde.kernels.expansion_ops import expansion_jet_jacobian as expansion_jet_jacobian
from kanpde.kernels.network_ops import network_jet as network_jet
from kanpde.kernels.network_ops import network_jet_adjoint as network_jet_adjoint
from kanpde.kernels.network_ops import network_jet_jacobian as network_jet_jacobian
from kanpde.kernels.network_ops import network_jet_rows as network_jet_rows
from kanpde.kernels.network_ops import network_jet_squares as network_jet_squares
from kanpde.kernels.ops import activation_jet as activation_jet
from kanpde.kernels.ops import activation_jet_adjoint as activation_jet_adjoint
from kanpde.kernels.ops import runs_gram as runs_gram
from kanpde.kernels.ops import runs_normal as runs_normal
from kanpde.kernels.ops import runs_pulled as runs_pulled
from kanpde.kernels.ops import runs_times as runs_times
from kanpde.kernels.ops import runs_transposed_times as runs_transposed_times
from kanpde.kernels.ops import spline_jet as spline_jet
from kanpde.kernels.ops import spline_jet_adjoint as spline_jet_adjoint
from kanpde.kernels.ops import spline_jet_jacobian as spline_jet_jacobian
from kanpde.kernels.pieces import uniform_knots as uniform_knots
from kanpde.kernels.rational_ops import rational_jet as rational_jet
from kanpde.kernels.rational_ops import rational_jet_adjoint as rational_jet_adjoint
from kanpde.kernels.rational_ops import rational_jet_jacobian as rational_jet_jacobian
from kanpde.kernels.rational_ops import rational_network_squares as rational_network_squares
