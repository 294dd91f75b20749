"""Reports: one file that loads nothing, opens in a real browser without a complaint, and fits a
phone and a printed page."""

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from browser import Browser, executable
from conftest import solved

import kanpde
from kanpde import (
    KAN,
    Box,
    Dirichlet,
    Interface,
    Pieces,
    Problem,
    Recipe,
    RunError,
    laplacian,
)
from kanpde.cli import main
from kanpde.problem import file as problems
from kanpde.reports import notebook, report
from kanpde.reports import run as run_report
from kanpde.results.gaps import Gap
from kanpde.runs.folder import load, save
from kanpde.sweeps import store
from kanpde.sweeps.rows import Differences, StageRow, SweepTable, TrialRow

HOSTILE = "<script>alert(1)</script> & \"quoted\" </title><img src=x onerror='alert(2)'>"


def made_up_sweep(folder):
    """A table of two series whose errors fall as a power of their size."""
    rows = []
    for kind, slope in (("kan", -4), ("mlp", -2)):
        for size in (50, 100, 200, 400):
            for seed in range(3):
                error = (1 + 0.3 * seed) * 1e-2 * (size / 50) ** slope
                grids = (4, 8) if kind == "kan" else ()
                stages = tuple(
                    StageRow(
                        k,
                        f"lm, grid {grid}",
                        grid,
                        size,
                        50 * (k + 1),
                        float(k),
                        error,
                        error * 10 ** (1 - k),
                    )
                    for k, grid in enumerate(grids)
                )
                common = {
                    "degree": 5,
                    "grid": 8 if kind == "kan" else 0,
                    "parameters": size,
                    "schedule": "lm:100",
                    "points": 400,
                    "seed": seed,
                }
                rows.append(
                    TrialRow(
                        f"{kind}-{size}-{seed}",
                        kind,
                        f"{kind.upper()} of {size}",
                        "5",
                        1,
                        judged="exact",
                        error=error,
                        loss=error**2,
                        seconds=size / 40,
                        stages=stages,
                        **common,
                    )
                )
    rows.append(
        replace(rows[0], trial="broken", status="failed", error=float("nan"), reason=HOSTILE)
    )
    differences = tuple(Differences(4, n, n * n, float(n) ** -4, n / 100) for n in (8, 16, 32))
    store.write(
        folder,
        SweepTable(
            tuple(rows),
            differences,
            {
                "problem": "poisson2d",
                "title": "Poisson's equation.",
                "provenance": {"date": "2026-11-24T10:00:00", "cores": 2},
            },
        ),
    )


@pytest.fixture(scope="module")
def pages(saved, tmp_path_factory):
    """Reports of a steady run, one that evolves, one with a hostile title, and a sweep."""
    folder = tmp_path_factory.mktemp("reports")
    steady = report(saved, folder / "steady.html")
    heat = solved(problems.load("heat2d")[0], steps=2, points=100)
    heat.settings["title"] = HOSTILE
    evolving = report(save(heat, folder), folder / "evolving.html")
    (folder / "sweep").mkdir()
    made_up_sweep(folder / "sweep")
    return {
        "steady": steady,
        "evolving": evolving,
        "sweep": report(folder / "sweep", folder / "sweep.html"),
    }


def test_the_command_writes_into_the_folder_and_prints_the_name(run, capsys):
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == str(run / "report.html")
    assert (run / "report.html").stat().st_size < 5e6


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="not a run folder"):
        report(tmp_path)


@pytest.mark.parametrize("name", ["steady", "evolving", "sweep"])
def test_a_page_is_one_small_file_that_refers_to_nothing(pages, name):
    text = pages[name].read_text()
    assert len(text.encode()) < 5e6
    assert not re.findall(r"(?:src|href)\s*=\s*[\"'](?!data:)", text)
    assert "http://" not in text.replace("http://www.w3.org/", "")
    assert "https://" not in text


def test_the_summary_is_in_the_page(pages, result):
    kept = json.loads(
        re.search(r'id="summary">(.*?)</script>', pages["steady"].read_text(), re.DOTALL)[1]
    )
    assert kept["relative_l2"] == result.relative_l2
    assert kept["provenance"]["torch"]
    trials = json.loads(
        re.search(r'id="summary">(.*?)</script>', pages["sweep"].read_text(), re.DOTALL)[1]
    )["trials"]
    assert len(trials) == 25


def test_errors_settings_and_how_to_reproduce_are_said(pages, result):
    text = pages["steady"].read_text()
    assert f"{result.relative_l2:.2e}"[:4] in text or f"{result.relative_l2:.4g}" in text
    assert "kanpde solve poisson2d" in text
    assert "--seed 0" in text
    assert "lm:6,lm:6" in text
    assert "<math>" in text
    assert "def poisson(u, x, y)" in text


def test_advice_and_estimates_are_said(run):
    path = run / "summary.json"
    found = {
        "name": "λ1",
        "value": 0.999,
        "standard_error": 2e-3,
        "interval": [0.995, 1.003],
        "truth": 1.0,
    }
    field = {
        "name": "kappa",
        "value": 2.5,
        "standard_error": 0.1,
        "interval": None,
        "of": ["x"],
        "relative_l2": 0.03,
    }
    more = {
        "estimates": [found, field],
        "noise": {"u": 0.01},
        "identifiability": ["the data cannot identify k"],
    }
    loaded = load(run)
    loaded.verdict = replace(loaded.verdict, cures=("train longer & wider",))
    text = run_report.page_of(loaded, {**json.loads(path.read_text()), **more})
    assert "try train longer &amp; wider" in text
    assert "Not converged, says the exact solution: " in text
    for said in (
        "Found from the data: λ1 = 0.999 ± 0.002, kappa within 0.03",
        "0.995 to 1.003",
        "kappa(x)",
        "the data cannot identify k",
        "0.01",
    ):
        assert said in text


def test_slopes_of_a_sweep_are_said(pages):
    text = pages["sweep"].read_text()
    assert "-4.0" in text
    assert "-2.0" in text


def test_a_damaged_sweep_is_refused(tmp_path):
    (tmp_path / "sweep.h5").write_bytes(b"torn")
    with pytest.raises(RunError, match="cannot be read"):
        report(tmp_path)


@pytest.fixture(scope="module")
def browser():
    found = executable()
    if found is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with Browser(found) as opened:
        yield opened


@pytest.mark.parametrize("name", ["steady", "evolving", "sweep"])
def test_a_browser_shows_it_without_a_complaint(browser, pages, name, tmp_path):
    before = len(browser.complaints), len(browser.requests)
    browser.open(pages[name], width=1280)
    assert browser.evaluate("document.querySelectorAll('figure svg').length") >= 3
    assert browser.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    assert browser.evaluate("document.body.innerText.length") > 500
    browser.screenshot(tmp_path / "wide.png")
    assert (tmp_path / "wide.png").stat().st_size > 30_000
    browser.open(pages[name], width=390, height=844, phone=True)
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390, (
        "the page is wider than a phone"
    )
    assert (
        browser.evaluate(
            "Math.min(...[...document.querySelectorAll('figure.chart, figure.map')].map(f =>"
            " f.getBoundingClientRect().width))"
        )
        > 300
    )
    browser.pdf(tmp_path / "printed.pdf")
    assert 1 <= (tmp_path / "printed.pdf").read_bytes().count(b"/Type /Page\n") <= 12
    assert not browser.complaints[before[0] :]
    assert not [
        url for url in browser.requests[before[1] :] if not url.startswith(("data:", "file:"))
    ]


def test_hostile_titles_are_words(browser, pages):
    browser.open(pages["evolving"])
    assert browser.evaluate("document.querySelector('h1').textContent").startswith(
        "<script>alert(1)"
    )
    assert browser.evaluate("document.querySelectorAll('img[onerror]').length") == 0


def test_values_are_shown_under_the_pointer(browser, pages, result):
    browser.open(pages["steady"], width=1280)
    browser.evaluate("document.querySelector('figure.map').scrollIntoView()")
    left, top, width, height = browser.evaluate(
        "(() => { const f = document.querySelector('figure.map'), b ="
        " f.querySelector('rect.frame').getBoundingClientRect(); return [b.left, b.top, b.width,"
        " b.height]; })()"
    )
    browser.move(left + 0.75 * width, top + 0.25 * height)
    said = browser.evaluate("document.querySelector('figure.map .tip').textContent")
    assert float(said.rpartition("\n")[2]) == pytest.approx(result(x=0.5, y=0.5), abs=0.02)
    browser.evaluate("document.querySelector('figure.chart').scrollIntoView()")
    left, top, width, height = browser.evaluate(
        "(() => { const b = document.querySelector('figure.chart"
        " rect.frame').getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; })()"
    )
    browser.move(left + 0.5 * width, top + 0.5 * height)
    assert "loss" in browser.evaluate("document.querySelector('figure.chart .tip').textContent")


def on_pieces():
    """T of 300 K on two pieces, w on one of them only."""
    return Problem(
        Pieces(left=Box(x=(0, 1), y=(0, 1)), right=Box(x=(1, 2), y=(0, 1))),
        {
            "left": [lambda T: laplacian(T)],
            "right": [lambda T, w: laplacian(T) - w, lambda T, w: laplacian(w) - 1],
        },
        [
            Dirichlet(T=300, w=0),
            Interface(T=0, flux={"left": 1.0, "right": 3.0}),
        ],
        exact={"T": 300.0},
        unknowns=["T", "w"],
        warn=False,
    )


def test_pieces_have_a_report_and_a_picture(tmp_path):
    problem = on_pieces()
    found = kanpde.solve(
        problem, recipe=Recipe(KAN((2,), 3, 3), 60, "lm:2"), reference=False, out=tmp_path
    )
    for each in (found, kanpde.load(found.run_dir), kanpde.load(found.run_dir, problem)):
        page = run_report.report(each)
        assert "residual" in page or "exact solution" in page
        assert notebook.result(each).count("data:image/png") == 1
    there = np.isfinite(found.fields.solution["w"])
    assert there.any()
    assert not there.all()
    assert np.isfinite(found.fields.solution["T"]).all()
    assert not there[found.fields.grid["x"] < 1].any()
    assert list(found.errors) == ["T"]
    assert math.isfinite(found.errors["T"].error)


def test_errors_stand_by_unknown(result):
    assert "Errors by unknown" not in run_report.report(replace(result))
    offset = replace(result, errors={"u": Gap(0.5, 0.7, 300.0, 1.0)})
    offset.__dict__["fields"] = result.fields
    page = run_report.report(offset)
    row = page[page.index("Errors by unknown") :].partition("</table>")[0]
    assert "<td>0.5</td>" in row.replace(' class="number"', "")
    assert "0.7" in row
    assert "of its variation" in notebook.result(offset)
