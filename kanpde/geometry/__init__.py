"""Domains with named coordinates and named faces."""

from kanpde.geometry.ball import Ball as Ball
from kanpde.geometry.box import Box as Box
from kanpde.geometry.disk import Disk as Disk
from kanpde.geometry.disk import Ellipse as Ellipse
from kanpde.geometry.domain import Corner as Corner
from kanpde.geometry.domain import Domain as Domain
from kanpde.geometry.domain import Face as Face
from kanpde.geometry.family import FamilyBox as FamilyBox
from kanpde.geometry.holes import Hole as Hole
from kanpde.geometry.holes import holes as holes
from kanpde.geometry.implicit import Implicit as Implicit
from kanpde.geometry.mesh import Solid as Solid
from kanpde.geometry.pieces import Pieces as Pieces
from kanpde.geometry.planar import Planar as Planar
from kanpde.geometry.planar_sets import shared_curves as shared_curves
from kanpde.geometry.plane_mesh import Mesh as Mesh
from kanpde.geometry.polygon import Polygon as Polygon
from kanpde.geometry.ranges import Ranges as Ranges
from kanpde.geometry.time import SpaceTime as SpaceTime
from kanpde.geometry.time import Time as Time
from kanpde.geometry.vector import Vector as Vector
from kanpde.geometry.vector import many as many
