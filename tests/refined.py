"""Problems solved by products of splines to a tolerance, as a run does it."""

from kanpde.products.adaptive import adaptive
from kanpde.products.progress import Settings


def solved(problem, tolerance, **settings):
    """The solution, and where it came to."""
    way = adaptive(problem, Settings(tolerance, **settings))
    progress = way.begin()
    while not progress.finished:
        progress = way.advance(progress)
    return way.solution(progress), progress
