"""What a problem is to products of splines: whether they can take it, along which coordinate they
march, and what they begin with."""

from __future__ import annotations

from kanpde.errors import ProblemError, listed
from kanpde.geometry import Pieces, many
from kanpde.problem.formulation import Formulation
from kanpde.problem.problem import Problem
from kanpde.products.held import Start, on_face
from kanpde.products.pieces import unfit
from kanpde.products.tensor import Product
from kanpde.residual.residual import Residual


def refuse(problem: Problem) -> None:
    """Refuse what products of splines cannot take.

    Args:
        problem: What is to be solved.

    Raises:
        ProblemError: The message says why, and which kind of network can take it.
    """
    why = None
    if many(problem.domain):
        why = f"{len(problem.coordinates)} coordinates, more than 3"
    elif isinstance(problem.domain, Pieces):
        why = unfit(problem.domain) or None
    elif not problem.domain.is_box:
        why = unfit_beside_boxes(problem)
    if why is None and len(problem.coordinates) > 3:
        why = f"{len(problem.coordinates)} coordinates, more than 3"
    if why is None and problem.data and (not problem.parameters or problem.pencil is not None):
        why = "data without unknown parameters"
    elif why is None:
        why = _unfit_elsewhere(problem)
    if why is not None:
        raise ProblemError(f"tensor: cannot take {why}; --network kan can")


def unfit_beside_boxes(problem: Problem) -> str | None:
    """Why products cannot take a domain that is no box; None where they can.

    Args:
        problem: What is to be solved.
    """
    domain = problem.domain
    if len(domain.space) != (2 if domain.time else len(domain.coordinates)) or domain.family:
        return f"the domain {domain!r}, which is no box"
    if problem.parameters and problem.pencil is None:
        return f"unknown parameters in {domain!r}, which is no box"
    if any(residual.afar for residual in _residuals(problem)):
        return f"integrals and values at other places in {domain!r}, which is no box"
    if domain.time is not None:
        orders = {u: problem.order(u, domain.time) for u in problem.unknowns}
        if len({order for order in orders.values() if order}) > 1:
            return f"unknowns of first and of second order in time in {domain!r}, which is no box"
        needed = {leaf for e in problem.equations for leaf in e.needs}
        mixed = [u for u, k in orders.items() if k and (u, (0, 0, k)) not in needed]
        if still := [u for u, k in orders.items() if not k]:
            return f"{listed(still)} without a rate in {domain!r}, which is no box"
        if mixed or max(orders.values()) > 2:
            return f"rates of other kinds than of unknowns in {domain!r}, which is no box"
    return None


def _residuals(problem: Problem) -> list[Residual]:
    """Those of all equations and conditions."""
    return [*problem.equations, *(c.residual for c in problem.constraints)]


def _unfit_elsewhere(problem: Problem) -> str | None:
    """Why products cannot take the integrals and values at other places of a problem; None where
    they can."""
    afar = [one for residual in _residuals(problem) for one in residual.afar]
    if not problem.parameters and any(problem.domain.time in one.moved for one in afar):
        return "values at other times, which spans of time do not know"
    if afar and len(problem.coordinates) > 2:
        return "integrals and values at other places in more than two coordinates"
    return None


def marched(problem: Problem) -> str | None:
    """The coordinate along which spans follow one another: time, or that of ordinary equations all
    of whose conditions are given at its beginning, or all at its end.

    Args:
        problem: What is to be solved.
    """
    if problem.parameters:
        # What is the same at all times is found for all of them at once.
        return None
    along_line = len(problem.domain.own) == 1 and not isinstance(problem.domain, Pieces)
    if problem.domain.time is not None or not along_line or problem.periodic:
        return problem.domain.time
    (x,) = problem.domain.own
    face = start_of_march(problem, x)
    plain = all(
        c.face == face and c.prescribed is not None and c.where is None for c in problem.constraints
    )
    given = {
        (c.prescribed.unknown, c.prescribed.derivative)
        for c in problem.constraints
        if c.prescribed is not None
    }
    wanted = {(u, k) for u in problem.unknowns for k in range(problem.order(u, x))}
    remembers = any(x in one.moved for e in problem.equations for one in e.afar)
    return x if plain and given == wanted and wanted and not remembers else None


def start_of_march(problem: Formulation, time: str) -> str:
    """The face where a march begins: that at the start of time, or at the end where all conditions
    of ordinary equations are given there.

    Args:
        problem: What is to be solved.
        time: The coordinate along which it marches.
    """
    faces = {c.face for c in problem.constraints}
    return f"{time}+" if faces == {f"{time}+"} else f"{time}-"


def initial_values(problem: Formulation, time: str) -> dict[tuple[str, int], Start]:
    """Values and rates that are given where the march begins, by unknown and order of the rate.

    Args:
        problem: What is to be solved.
        time: The coordinate along which it marches.
    """
    space = [x for x in problem.coordinates if x != time]
    face = start_of_march(problem, time)
    begin = problem.domain.bounds[time][0 if face.endswith("-") else 1]
    return {
        (c.prescribed.unknown, c.prescribed.derivative): on_face(c.prescribed, time, begin, space)
        for c in problem.constraints
        if c.face == face and c.prescribed is not None
    }


def on_grids(product: Product, unknown: int) -> Start:
    """An unknown as a function of grids of points."""
    return lambda at: product.on_grid(unknown, at, (0,) * len(product.axes))
