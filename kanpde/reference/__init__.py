"""Finite differences on a box, from the same problem: the reference that every network is measured against."""

from kanpde.reference.solution import Reference as Reference
from kanpde.reference.solution import reference as reference
