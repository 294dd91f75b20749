"""Training: one loop over a schedule of stages."""

from kanpde.training.adam import Adam as Adam
from kanpde.training.balancing import Balance as Balance
from kanpde.training.broyden import Broyden as Broyden
from kanpde.training.changes import Change as Change
from kanpde.training.changes import Deepen as Deepen
from kanpde.training.changes import Extend as Extend
from kanpde.training.changes import Widen as Widen
from kanpde.training.gauss_newton import GaussNewton as GaussNewton
from kanpde.training.lbfgs import LBFGS as LBFGS
from kanpde.training.levenberg_marquardt import LevenbergMarquardt as LevenbergMarquardt
from kanpde.training.loop import Training as Training
from kanpde.training.method import carry_out as carry_out
from kanpde.training.plan import TrainingPlan as TrainingPlan
from kanpde.training.pruning import Prune as Prune
from kanpde.training.regression import regress as regress
from kanpde.training.samples import LOSSES as LOSSES
from kanpde.training.samples import DataRows as DataRows
from kanpde.training.samples import Measurements as Measurements
from kanpde.training.samples import Samples as Samples
from kanpde.training.samples import measured as measured
from kanpde.training.schedule import Stage as Stage
from kanpde.training.schedule import parse_schedule as parse_schedule
from kanpde.training.schedule import show_schedule as show_schedule
from kanpde.training.soap import Soap as Soap
from kanpde.training.sparsity import Sparsify as Sparsify
