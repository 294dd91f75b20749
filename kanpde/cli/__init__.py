"""The command line, and the only part that prints. Heavy imports come late, inside the commands
that need them."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from typer import Abort
from typer.exceptions import TyperException

from kanpde.cli.application import app
from kanpde.cli.complaints import INTERRUPTED, Interrupted, complain, show_warning, usage
from kanpde.errors import KanpdeError, ProblemWarning


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: Its words, such as ["solve", "poisson2d"]; those of this process by default.

    Returns:
        Its exit code: 0; 2 for what the user can put right, which one line on standard error says;
        130 after Ctrl-C; 143 after SIGTERM.
    """
    # Threads of libgomp spin for milliseconds while they wait: on a busy machine they starve each
    # other, thirtyfold. This many turns are as fast as the default on a quiet one. It is read when
    # torch is imported, so it is set before.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    with warnings.catch_warnings():
        warnings.simplefilter("always", ProblemWarning)
        warnings.showwarning = show_warning
        try:
            code = app(arguments, standalone_mode=False, prog_name="kanpde") or 0
        except KanpdeError as error:
            return complain(str(error))
        except TyperException as error:
            return complain(usage(error))
        # of the system, on a path that was given: too long, a loop of links, not allowed
        except OSError as error:
            return complain(f"{error.filename or 'a file'}: {error.strerror or error}")
        except MemoryError:
            return complain(
                "the memory of this machine does not suffice; try fewer --points, or a smaller"
                " network"
            )
        except Interrupted as stop:
            print(stop, file=sys.stderr)
            return stop.code
        except (KeyboardInterrupt, Abort):
            code = INTERRUPTED
    if code == INTERRUPTED:
        print("interrupted", file=sys.stderr)
    return code
