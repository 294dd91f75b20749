"""Problems solved by products of splines to a tolerance, as a run does it."""

from kanpde.products.adaptive import adaptive
from kanpde.products.progress import Progress, Settings


def solved(problem, tolerance, **settings):
    """The solution, and where it came to."""
    way = adaptive(problem, Settings(tolerance, **settings))
    progress = way.begin()
    while not progress.finished:
        progress = way.advance(progress)
    return way.solution(progress), progress


def gone_on_halfway(problem, tolerance):
    """Where a solution came to, and where the same came to that was written down halfway and went
    on from that."""
    way = adaptive(problem, Settings(tolerance))
    progress, states = way.begin(), []
    while not progress.finished:
        progress = way.advance(progress)
        states.append(progress.plain())
    again, later = adaptive(problem, Settings(tolerance)), states[len(states) // 2]
    gone_on = Progress.from_plain(later)
    while not gone_on.finished:
        gone_on = again.advance(gone_on)
    return way.solution(progress), progress, gone_on
