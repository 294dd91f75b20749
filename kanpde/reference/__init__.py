"""Finite differences from the same problem, on boxes and with embedded boundaries: the reference
that every network is measured against."""

from kanpde.reference.solution import Reference as Reference
from kanpde.reference.solution import reference as reference
