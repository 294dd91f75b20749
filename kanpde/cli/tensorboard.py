"""Logging for TensorBoard: an observer that passes everything on to another one and writes it down
(the optional extra `tensorboard`)."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kanpde.errors import RunError
from kanpde.training.history import Observer, Record, Silent

if TYPE_CHECKING:
    from kanpde.results.result import Result


class Log:
    """What is written of one run; as an observer, it passes on what it sees to another one."""

    def __init__(self, writer: Any, other: Observer | None = None):
        self._writer, self._other, self._step = writer, other or Silent(), 0
        self._written: set[str] = set()

    def beside(self, other: Observer) -> Log:
        """This log in front of another observer."""
        return Log(self._writer, other)

    def stage(self, index: int, count: int, title: str, steps: int) -> None:
        self._writer.add_text("stage", f"{index + 1}/{count} {title}", self._step)
        self._other.stage(index, count, title, steps)

    def step(self, record: Record) -> None:
        if (
            record.step != self._step
        ):  # the last step comes twice: again with what was measured at the end
            self._step, self._written = record.step, set()
        for name, tag in (
            ("loss", "loss/collocation points"),
            ("fresh", "loss/fresh points"),
            ("error", "error/relative L2"),
        ):
            value = getattr(record, name)
            if math.isfinite(value) and tag not in self._written:
                self._writer.add_scalar(tag, value, record.step)
                self._written.add(tag)
        self._other.step(record)

    def message(self, text: str) -> None:
        self._writer.add_text("message", text, self._step)
        self._other.message(text)

    def result(self, result: Result) -> None:
        """The pictures, and the settings with the final numbers."""
        _write_result(self._writer, result)


@contextmanager
def logged(folder: Path | None, name: str) -> Iterator[Log | None]:
    """A log below a folder, FOLDER/<problem>/<date>/, or None where no folder is given. Raises
    RunError."""
    if folder is None:
        yield None
        return
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise RunError(
            "--tensorboard: needs tensorboard, which is not installed: pip install"
            " 'kanpde[tensorboard]'"
        ) from None
    from kanpde.runs.atomic import check_writable, safe

    check_writable(folder)
    with SummaryWriter(
        str(folder / safe(name) / f"{datetime.now():%Y%m%d-%H%M%S}"), flush_secs=5
    ) as writer:
        yield Log(writer)


def _write_result(writer: Any, result: Result) -> None:
    import matplotlib.image
    import numpy as np

    from kanpde.plots.network import plot_network
    from kanpde.plots.png import write_png
    from kanpde.plots.solution import plot_solution

    step = result.history.records[-1].step if result.history.records else 0
    for tag, plot in (("solution", plot_solution), ("network", plot_network)):
        file = io.BytesIO()
        write_png(plot(result), file, dpi=110)
        file.seek(0)
        writer.add_image(
            tag,
            np.ascontiguousarray(matplotlib.image.imread(file)[:, :, :3]),
            step,
            dataformats="HWC",
        )
    numbers = {
        "relative L2": result.relative_l2,
        "relative L2 against the reference": result.reference_relative_l2,
        "seconds": result.seconds,
    }
    rows = {
        **{k: v for k, v in numbers.items() if v is not None},
        **{
            k: result.settings.get(k)
            for k in ("network", "parameters", "seed", "schedule", "points")
        },
    }
    writer.add_text(
        "result",
        "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in rows.items())]),
        step,
    )
