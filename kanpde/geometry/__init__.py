"""Domains with named coordinates and named faces."""

from kanpde.geometry.box import Box as Box
from kanpde.geometry.domain import Domain as Domain
from kanpde.geometry.domain import Face as Face
from kanpde.geometry.ranges import Ranges as Ranges
from kanpde.geometry.time import SpaceTime as SpaceTime
from kanpde.geometry.time import Time as Time
