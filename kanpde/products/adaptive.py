"""A problem solved to a tolerance by products of splines whose cells and spans follow the error."""

from __future__ import annotations

from kanpde.geometry import Pieces
from kanpde.networks.solution import Solution
from kanpde.problem.determined import determined
from kanpde.problem.problem import Problem
from kanpde.products.attempts import AdaptiveProducts
from kanpde.products.corner_functions import corner_functions
from kanpde.products.families import MarchingMembers, RefinedMembers
from kanpde.products.guide import Guide
from kanpde.products.inside import curved
from kanpde.products.marching import MarchingProducts
from kanpde.products.marching_inside import MarchingInside
from kanpde.products.marching_points import MarchingPoints, points_of_march
from kanpde.products.modes import RefinedModes
from kanpde.products.posed import marched, refuse
from kanpde.products.progress import Settings
from kanpde.products.refining import RefinedProducts
from kanpde.products.refining_beside import RefinedBeside
from kanpde.products.refining_corners import RefinedCorners
from kanpde.products.refining_pieces import RefinedPieces
from kanpde.products.refining_tested import RefinedTested, tested


def adaptive(
    problem: Problem, settings: Settings, start: Solution | None = None
) -> AdaptiveProducts:
    """The way to the solution of a problem within a tolerance: through spans of time, or through
    finer and finer cells.

    Args:
        problem: What is to be solved.
        settings: How.
        start: The solution of a problem near to this one, to begin from; None for none.

    Raises:
        ProblemError: Products of splines cannot take the problem.
    """
    refuse(problem)
    guide = None if start is None else Guide(start, problem)
    if isinstance(problem.domain, Pieces):
        law = tested(problem)
        if law is not None:
            return RefinedTested(problem, settings, law)
        return RefinedPieces(problem, settings)
    if problem.pencil is not None:
        return RefinedModes(problem, settings)
    if determined(problem).parameters and problem.pencil is None:
        return RefinedBeside(problem, settings, guide)
    time = marched(determined(problem))
    if problem.family:
        return (
            RefinedMembers(problem, settings, guide)
            if time is None
            else MarchingMembers(problem, settings, time, guide)
        )
    if time is None and corner_functions(problem):
        return RefinedCorners(problem, settings, guide)
    if time is None:
        return RefinedProducts(problem, settings, guide)
    if curved(problem.domain) is not None:
        return MarchingInside(problem, settings, time, guide)
    ends, _ = points_of_march(problem, settings)
    if ends is not None:
        return MarchingPoints(problem, settings, time, ends, guide)
    return MarchingProducts(problem, settings, time, guide)
