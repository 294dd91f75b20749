"""Sweeps in this process: rows, tables, resuming, failures, and folders that are not what they
should be."""

import csv
import json
import math

import pytest
from bars import FAILING, FEW, TOY, UNKNOWN, Seen, swept, toy, written
from orders import holds, observed
from rich.console import Console

import kanpde
from kanpde import RecipeError, RunError
from kanpde.cli.trials import by_network
from kanpde.problem import file as problems
from kanpde.sweeps import differences, folders, store
from kanpde.sweeps.rows import Differences, StageRow, SweepTable, TrialRow


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A finished sweep, shared: leave it as it is."""
    folder = tmp_path_factory.mktemp("bars")
    problem = toy(folder)
    return problem, swept(problem, folder)


def contents(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }


def test_every_trial_is_a_run_folder_and_a_row(done):
    problem, found = done
    assert len(found.done) == len(found.rows) == 8
    for row in found.rows:
        run = kanpde.load(found.folder / row.run, problem)
        assert row.error == run.relative_l2
        assert row.parameters == run.solution.parameters
        assert row.network == run.solution.describe()
        assert (row.judged, row.seed) == ("exact", run.settings["seed"])
        assert row.verdict == run.verdict.status
        assert row.loss == run.history.records[-1].loss
        last = row.stages[-1]
        assert (last.parameters, last.grid, last.loss) == (row.parameters, row.grid, row.loss)
        assert len(row.stages) == sum(stage.step > 0 for stage in row.stages)
    assert len({(row.kind, row.parameters, row.seed) for row in found.rows}) == 8


def test_the_tables_hold_what_the_run_folders_do(done):
    _, found = done
    stored = store.read(found.folder)
    assert (
        repr(stored.rows)
        == repr(found.rows)
        == repr(folders.rebuilt(found.folder, folders.read_plan(found.folder)))
    )
    with (found.folder / "sweep.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["trial"], float(line["error"])) for line in lines] == [
        (row.trial, row.error) for row in found.rows
    ]
    assert [line["verdict"] for line in lines] == [row.verdict for row in found.rows]
    assert (stored.about["problem"], stored.about["derivatives"], stored.about["coordinates"]) == (
        "bar",
        2,
        1,
    )
    assert stored.about["provenance"]["kanpde"] == kanpde.__version__


def test_a_table_survives_the_file(tmp_path):
    stage = StageRow(0, "lm, grid 3", 3, 45, 10, 1.0, 1e-3, math.nan)
    failed = TrialRow("2", "mlp", "", "5,5", 2, 0, 0, 51, "lm:3", 100, 1, "failed", 'so, "it" is')
    rows = (
        TrialRow(
            "1",
            "kan",
            "KAN 2-5-1",
            "5",
            1,
            7,
            24,
            465,
            "lm:3",
            100,
            0,
            error=1e-9,
            stages=(stage, stage),
            verdict="not converged",
        ),
        failed,
    )
    table = SweepTable(
        rows,
        (Differences(2, 8, 49, 1e-2, 0.1),),
        {"problem": "p", "provenance": {"date": "today", "gpu": None}},
    )
    store.write(tmp_path, table)
    assert repr(store.read(tmp_path)) == repr(table)
    store.write(tmp_path, SweepTable((), (), {}))
    assert store.read(tmp_path) == SweepTable((), (), {})


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    store.write_json(tmp_path / "plan.json", {"old": 1})

    def broken(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="cannot be written"):
        store.write_file(tmp_path / "plan.json", broken)
    assert store.read_json(tmp_path / "plan.json") == {"old": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_done_trials_are_not_run_again_and_missing_ones_are(tmp_path):
    problem, seen = toy(tmp_path), Seen()
    found = swept(problem, tmp_path, watcher=seen)
    assert len(seen.rows) == 8
    (found.folder / found.rows[2].run / "summary.json").unlink()
    again = Seen()
    resumed = swept(problem, found.folder, watcher=again)
    assert (again.there, [row.trial for row in again.rows]) == (7, [found.rows[2].trial])
    assert resumed.folder == found.folder
    assert [row.error for row in resumed.rows] == [row.error for row in found.rows]
    assert kanpde.sweeps.resume(found.folder, jobs=1, differences=False).rows[3] == resumed.rows[3]


def test_a_failing_trial_is_recorded_and_the_others_go_on(tmp_path, monkeypatch):
    problem = toy(tmp_path, FAILING)
    monkeypatch.setenv("TOY_FAILS", "64")
    found = swept(problem, tmp_path, seeds=1, parameters=[20], networks=["kan", "mlp"], sizes=None)
    assert [(row.status, math.isnan(row.error)) for row in found.rows] == [("failed", True)] * 2
    assert all("no such bar" in row.reason for row in found.rows)
    assert repr(store.read(found.folder).rows) == repr(found.rows)
    monkeypatch.delenv("TOY_FAILS")
    seen = Seen()
    assert (
        len(kanpde.sweeps.resume(found.folder, jobs=1, differences=False, watcher=seen).failed) == 2
    )
    assert seen.rows == []
    assert len(kanpde.sweeps.resume(found.folder, jobs=1, differences=False, retry=True).done) == 2


@pytest.mark.parametrize("name", ["run.h5", "summary.json", "checkpoint.pt"])
def test_a_damaged_trial_is_named_and_done_again_on_request(tmp_path, name):
    problem = toy(tmp_path)
    found = swept(problem, tmp_path, seeds=1, parameters=[20], networks=["mlp"], sizes=None)
    (only,) = found.rows
    (found.folder / only.run / name).write_bytes(b"not any more")
    seen = Seen()
    damaged = kanpde.sweeps.resume(found.folder, jobs=1, differences=False, watcher=seen)
    assert damaged.rows[0].reason.startswith("corrupt: ")
    assert any(only.trial in message and "--retry" in message for message in seen.messages)
    assert (found.folder / only.run / name).read_bytes() == b"not any more"
    again = kanpde.sweeps.resume(found.folder, jobs=1, differences=False, retry=True)
    assert [row.error for row in again.done] == [only.error]
    assert (found.folder / f"{only.run}-aside1" / name).read_bytes() == b"not any more"


def test_a_folder_of_another_sweep_is_refused_and_left_as_it_is(done, tmp_path):
    problem, found = done
    before = contents(found.folder)
    other = problems.load(str(written(tmp_path)), {"load": 2.0})[0]
    changed = toy(tmp_path, TOY.replace("A bent bar", "Another bar"))
    for refused, options, message in (
        (other, {}, "another problem, with constants {} in place of {'load': 2.0}"),
        (changed, {}, "was changed since the sweep began"),
        (problem, {"points": 65}, "other settings, points 64 in place of 65"),
        (problem, {"seeds": 3}, "other settings, seeds"),
        (problem, {"parameters": (20, 60)}, "other trials"),
    ):
        with pytest.raises(RunError, match=message) as error:
            swept(refused, found.folder, **options)
        assert "\n" not in str(error.value)
    assert contents(found.folder) == before


def test_what_is_no_sweep_is_refused(tmp_path):
    for ask in (kanpde.sweeps.resume, store.read):
        with pytest.raises(RunError, match="it is no sweep; expected a folder such as"):
            ask(tmp_path)
    (tmp_path / "sweep.json").write_text(
        '{"format": "kanpde sweep 1", "trials": [{"kind": "kan"}]}'
    )
    (tmp_path / "sweep.h5").write_bytes(b"nothing")
    with pytest.raises(RunError, match="no plan of a kanpde sweep"):
        kanpde.sweeps.resume(tmp_path)
    with pytest.raises(RunError, match="cannot be read"):
        store.read(tmp_path)


def test_one_process_at_a_time(done):
    _, found = done
    with (
        folders.alone(found.folder),
        pytest.raises(RunError, match=r"another process \(.+\) is at this sweep"),
    ):
        kanpde.sweeps.resume(found.folder, jobs=1)


def test_where_the_exact_solution_is_not_known_one_reference_judges_all(tmp_path, monkeypatch):
    problem = toy(tmp_path, UNKNOWN)
    found = swept(problem, tmp_path, seeds=1)
    assert {row.judged for row in found.rows} == {"reference"}
    exact = swept(toy(tmp_path, TOY), tmp_path, seeds=1)
    for row, known in zip(found.rows, exact.rows, strict=True):
        assert row.error == pytest.approx(known.error, rel=0.1)
    summaries = [
        json.loads((found.folder / row.run / "summary.json").read_text()) for row in found.rows
    ]
    assert len({summary["reference"]["seconds"] for summary in summaries}) == 1


def test_finite_differences_converge_at_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(differences, "MOST_CELLS", 128)
    found = differences.differences(toy(tmp_path), 4, seconds=60.0)
    assert [d.cells for d in found] == [16, 32, 64, 128]
    fine = found[-2:]
    holds(observed([d.error for d in fine], [1 / d.cells for d in fine], rounding=1e-13), 4)
    assert all(d.unknowns == d.cells + 1 and d.judged == "exact" for d in found)


@pytest.mark.parametrize(
    "options", [{"jobs": 0}, {"threads": 0}, {"jobs": 2, "dask": "tcp://127.0.0.1:1"}]
)
def test_impossible_executors_are_refused(tmp_path, options):
    with pytest.raises(RecipeError, match="expected"):
        kanpde.sweep(toy(tmp_path), out=tmp_path / "out", **FEW, **options)
    assert not (tmp_path / "out").exists()


def test_a_tensor_is_a_row_for_each_tolerance(tmp_path):
    problem, tolerances = toy(tmp_path), [1e-2, 1e-6]
    lists = {"networks": ["tensor"], "tolerance": tolerances, "degree": [3]}
    found = swept(problem, tmp_path, **lists)
    assert [row.status for row in found.rows] == ["done", "done"]
    for row, tolerance in zip(found.rows, tolerances, strict=True):
        run = kanpde.load(found.folder / row.run, problem)
        assert row.error == run.relative_l2 < tolerance
        assert row.parameters == run.solution.parameters > 0
        assert (row.kind, row.width, row.depth, row.grid) == ("tensor", "", 0, 0)
        assert run.verdict.tolerance.asked == tolerance
    assert found.rows[0].parameters < found.rows[1].parameters
    again = swept(problem, found.folder, **lists)
    assert repr(again.rows) == repr(found.rows) == repr(store.read(found.folder).rows)
    console = Console(record=True, width=120)
    console.print(by_network(found.rows, folders.read_plan(found.folder)))
    shown = console.export_text()
    assert all(f"{row.parameters:,}" in shown for row in found.rows)
    assert shown.count("1/1") == 2
