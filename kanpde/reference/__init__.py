"""Collocation by global functions, and finite differences on boxes and with embedded boundaries,
from the same problem: the reference that every network is measured against."""

from kanpde.reference.found import Reference as Reference
from kanpde.reference.solution import reference as reference
