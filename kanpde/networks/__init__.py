"""Networks that map jets to jets, and the ansatz that gives them exact boundary and initial values."""

from kanpde.networks.ansatz import Ansatz as Ansatz
from kanpde.networks.ansatz import Trial as Trial
from kanpde.networks.constants import Constants as Constants
from kanpde.networks.joint import Joint as Joint
from kanpde.networks.joint import Part as Part
from kanpde.networks.joint import joint as joint
from kanpde.networks.kan import KAN as KAN
from kanpde.networks.mlp import MLP as MLP
from kanpde.networks.network import Edges as Edges
from kanpde.networks.network import Network as Network
from kanpde.networks.registry import SPECS as SPECS
from kanpde.networks.registry import spec_of as spec_of
from kanpde.networks.slabs import Slabs as Slabs
from kanpde.networks.slabs import restore as restore
from kanpde.networks.slabs import span as span
from kanpde.networks.spec import Spec as Spec
from kanpde.networks.transform import Transform as Transform
