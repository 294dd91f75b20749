"""The command line: what it prints, what it refuses in one line, and how it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import kanpde
from kanpde.cli import main
from kanpde.cli.bars import Bars
from kanpde.cli.display import console
from kanpde.problem.file import load
from kanpde.runs import folder as run_folder
from kanpde.training.history import Record

QUICK = [
    "--width",
    "2",
    "--degree",
    "5",
    "--grid",
    "3",
    "--schedule",
    "lm:4",
    "--points",
    "100",
    "--restarts",
    "1",
]
FILES = {
    "request.json",
    "summary.json",
    "run.h5",
    "checkpoint.pt",
    "solution.png",
    "history.png",
    "network.png",
}
FAST = '''"""A wave that goes round and round."""
from torch import pi, sin
from kanpde import Box, Initial, Periodic, Problem, Time, d

speed = 24


def around(u, x, t):
    return d(u, t) + speed * d(u, x)


conditions = [Periodic("x"), Initial(u=lambda x: sin(x))]
problem = Problem(Box(x=(0, 2 * pi)) * Time(t=(0, 1)), [around], conditions)
'''

POISSON = '''"""Poisson's equation, told briefly."""
from torch import sin
from kanpde import Box, Dirichlet, Neumann, Problem, d, laplacian

{function}

problem = Problem(domain=Box(x=(0, 1), y=(0, 1)), equations=[poisson], conditions={conditions})
'''
GOOD = "def poisson(u, x, y):\n    return laplacian(u) + 1"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Run folders and ./problems are looked for in the current folder; the tests have one each."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def undrawn(monkeypatch):
    """Run folders without pictures, which other tests look at."""
    write = run_folder.write
    monkeypatch.setattr(
        run_folder, "write", lambda result, folder, pictures=True: write(result, folder, False)
    )


def written(function=GOOD, conditions="[Dirichlet(u=0)]"):
    Path("mine.py").write_text(POISSON.format(function=function, conditions=conditions))
    return "mine.py"


def complaint(capsys, *arguments):
    """The one line on standard error with which a command is refused."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    lines = [line for line in captured.err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, captured.err
    assert "Traceback" not in captured.err + captured.out
    return lines[0]


def test_list_names_the_gallery_and_what_is_here(capsys):
    Path("problems").mkdir()
    Path("problems/mine.py").write_text(POISSON.format(function=GOOD, conditions="[]"))
    Path("problems/broken.py").write_text("this is no Python")
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert "Poisson's equation on the square" in listed
    assert "Poisson's equation, told briefly. (./problems)" in listed
    assert main(["list", "--json"]) == 0
    names = {problem["name"] for problem in json.loads(capsys.readouterr().out)["problems"]}
    assert {"poisson2d", "mine", "broken"} <= names


def test_version_and_help(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"kanpde {kanpde.__version__}\n"
    assert main([]) == 0
    assert "solve" in capsys.readouterr().out
    assert main(["solve", "--help"]) == 0
    assert "--schedule" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["solve", "poison2d"], "poison2d: no such problem or file; did you mean 'poisson2d'"),
        (["reference", "poison2d"], "did you mean 'poisson2d'"),
        (["solve", "nowhere.py"], "nowhere.py: no such file"),
        (["sole", "poisson2d"], "no such command 'sole'. Did you mean 'solve'"),
        (["solve"], "solve: got no problem; expected the name of one"),
        (["solve", "poisson2d", "--sed", "1"], "--seed"),
        (
            ["solve", "poisson2d", "--seed", "x"],
            "--seed: got 'x'; expected a whole number, 0 or more",
        ),
        (
            ["solve", "poisson2d", "--points", "0"],
            "--points: got '0'; expected a whole number, 1 or more",
        ),
        (
            ["solve", "poisson2d", "--network", "kam"],
            "--network: got 'kam'; expected kan or mlp or adaptive or additive or",
        ),
        (
            ["solve", "poisson2d", "--width", "5,x"],
            "--width: got '5,x'; expected positive whole numbers, such as 5 or 8,8",
        ),
        (
            ["solve", "poisson2d", "--grid", "6,3"],
            "--grid 6,3: expected numbers that rise, coarse to fine, such as 6,12,24",
        ),
        (["solve", "poisson2d", "--grid", "0"], "--grid: got '0'; expected positive whole numbers"),
        (
            ["solve", "poisson2d", "--dtype", "float16"],
            "--dtype: got 'float16'; expected float64 or float32",
        ),
        (["solve", "poisson2d", "--degree", "10"], "degree: got 10; expected 1 to 9"),
        (
            ["solve", "poisson2d", "--network", "mlp", "--degree", "3"],
            "--degree: an MLP has no splines",
        ),
        (
            ["solve", "poisson2d", "--grid", "6,12", "--schedule", "lm:5"],
            "--grid 6,12 extends the grid by itself",
        ),
        (["solve", "poisson2d", "--schedule", "lmm:5"], "lmm"),
        (["solve", "poisson2d", "--schedule", "lm:x"], "'lm:x' has no number"),
        (["solve", "poisson2d", "--device", "tpu"], "tpu"),
        (
            ["solve", "convection1d", "--slabs", "0"],
            "--slabs: got '0'; expected a whole number, 1 or more",
        ),
        (
            ["solve", "poisson2d", "--slabs", "3"],
            "slabs: got 3, but 'poisson2d' has no time; expected 1",
        ),
        (
            ["solve", "poisson2d", "--effort", "best"],
            "--effort: got 'best'; expected quick or default or record",
        ),
        (["plot", "nowhere"], "nowhere: no such run folder"),
    ],
)
def test_bad_arguments_get_one_line(capsys, arguments, message):
    assert message in complaint(capsys, *arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_gets_one_line(capsys):
    assert "cuda" in complaint(capsys, "solve", "poisson2d", "--device", "cuda")


@pytest.mark.parametrize(
    ("function", "conditions", "message"),
    [
        (
            "def poisson(u, x, z):\n    return laplacian(u) + z",
            "[Dirichlet(u=0)]",
            "'z' is neither an unknown",
        ),
        (
            "def poisson(u, x, y):\n    return (laplacian(u) + 1).sum()",
            "[Dirichlet(u=0)]",
            "poisson(): returned shape []",
        ),
        (GOOD, "[Dirichlet(u=0, on='z+')]", "no face 'z+'; its faces are x-, x+, y-, y+"),
        (GOOD, "[Dirichlet(u=0), Dirichlet(u=1, on='x-')]", "contradicts Dirichlet(u=0) on x-"),
        (GOOD, "[Neumann(u=0)]", "determined up to a constant; pin its value"),
        (
            "def poisson(u, x, y):\n    return laplacian(u) + (x - 2)**0.5",
            "[Dirichlet(u=0)]",
            "poisson(): ",
        ),
        (
            "def poisson(u, x, y):\n    return laplacian(u) + 1 / 0",
            "[Dirichlet(u=0)]",
            "ZeroDivisionError",
        ),
        (
            "def poisson(u, x, y)\n    return laplacian(u)",
            "[Dirichlet(u=0)]",
            "mine.py, line 5: this is not Python: expected ':'",
        ),
    ],
)
def test_bad_problems_get_one_line(capsys, function, conditions, message):
    assert message in complaint(capsys, "solve", written(function, conditions), *QUICK)
    assert not list(Path().glob("results/*/*")), "nothing was run"


def test_nan_at_some_points_names_the_function_and_the_point(capsys):
    line = complaint(
        capsys,
        "solve",
        written("def poisson(u, x, y):\n    return laplacian(u) + (x - 0.2)**0.5"),
        *QUICK,
    )
    assert "poisson()" in line
    assert "nan" in line
    assert "x=" in line


def test_a_file_without_a_problem_gets_one_line(capsys):
    Path("empty.py").write_text("x = 1\n")
    assert "empty.py: defines no `problem`" in complaint(capsys, "solve", "empty.py")


def test_a_degree_too_low_for_the_equation_gets_one_line(capsys):
    assert "degree" in complaint(capsys, "solve", "biharmonic1d", "--degree", "3")


def test_a_folder_that_is_not_writable_is_refused_before_training(capsys):
    Path("file").touch()
    assert "file/out: the output folder is not writable" in complaint(
        capsys, "solve", "poisson2d", "--out", "file/out"
    )


def test_a_missing_condition_is_a_warning_that_names_the_direction(undrawn, capsys):
    assert (
        main(
            [
                "solve",
                written(conditions="[Dirichlet(u=0, on=('x-', 'x+', 'y-'))]"),
                *QUICK,
                "--no-reference",
            ]
        )
        == 0
    )
    warned = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert len(warned) == 1
    assert "'y'" in warned[0]


def test_solve_prints_the_problem_the_errors_and_the_files(capsys):
    assert main(["solve", "poisson2d", *QUICK]) == 0
    printed = capsys.readouterr().out
    for part in (
        "Box(x=(-1, 1), y=(-1, 1))",
        "Dirichlet(u=0)",
        "the exact solution",
        "the reference (its own error",
        "Chebyshev collocation",
        "KAN 2-2-1",
        "parameters",
        "results/poisson2d/",
        "verdict   not converged, says the exact solution: ",
        "% from the exact solution",
        "\ntry       ",
    ):
        assert part in printed
    (run,) = Path("results/poisson2d").iterdir()
    assert {path.name for path in run.iterdir()} == FILES
    before = (run / "solution.png").stat().st_mtime_ns
    assert main(["plot", str(run)]) == 0
    assert (run / "solution.png").stat().st_mtime_ns > before


def test_json_is_one_object_on_standard_output_and_in_summary_json(undrawn, capsys):
    assert main(["solve", "poisson2d", *QUICK, "--seed", "3", "--json", "--out", "elsewhere"]) == 0
    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert {
        "problem",
        "network",
        "parameters",
        "relative_l2",
        "max_error",
        "seconds",
        "reference",
        "run_dir",
    } <= set(found)
    assert {"kind", "relative_l2", "estimated_error"} <= set(found["reference"])
    assert found["seed"] == 3
    assert found == json.loads((Path(found["run_dir"]) / "summary.json").read_text())
    assert Path(found["run_dir"]).parent == Path("elsewhere/poisson2d")
    assert "Dirichlet" in captured.err


def test_options_change_the_network(undrawn, capsys):
    assert (
        main(
            [
                "solve",
                "poisson2d",
                "--network",
                "mlp",
                "--width",
                "4,3",
                "--schedule",
                "lm:2",
                "--no-reference",
                "--json",
            ]
        )
        == 0
    )
    assert "MLP 2-4-3-1" in json.loads(capsys.readouterr().out)["network"]
    assert (
        main(
            [
                "solve",
                "poisson2d",
                "--width",
                "2",
                "--degree",
                "3",
                "--grid",
                "3,6",
                "--points",
                "50",
                "--effort",
                "quick",
                "--no-reference",
                "--json",
            ]
        )
        == 0
    )
    assert json.loads(capsys.readouterr().out)["network"] == "KAN 2-2-1, degree 3, grid 6"


def test_explain_says_what_was_chosen_and_why(undrawn, capsys):
    Path("fast.py").write_text(FAST)
    assert (
        main(
            [
                "solve",
                "fast.py",
                "--explain",
                "--width",
                "2",
                "--schedule",
                "lm:1",
                "--points",
                "50",
                "--restarts",
                "1",
                "--no-reference",
            ]
        )
        == 0
    )
    shown = capsys.readouterr().out
    assert "because   it evolves in time" in shown
    assert (
        "because   by its equation, the start changes 24 times over (T |u_t| / |u|): 4 spans of"
        " time" in shown
    )
    assert (
        main(
            [
                "solve",
                "convection1d",
                "--explain",
                "--width",
                "2",
                "--schedule",
                "lm:1",
                "--points",
                "50",
                "--no-reference",
            ]
        )
        == 0
    )
    assert "because   the recipe 'kan' that stands beside the problem" in capsys.readouterr().out


def test_reference_states_its_own_error(capsys):
    assert main(["reference", "poisson2d", "--order", "4", "--cells", "16", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["order"] == 4
    assert found["relative_l2"] == pytest.approx(found["estimated_error"], rel=1)
    assert main(["reference", "poisson2d", "--cells", "16"]) == 0
    assert "estimated error" in capsys.readouterr().out


def test_bars_count_steps_and_show_the_last_known_error(capsys):
    with Bars(console(True)) as bars:
        bars.stage(0, 2, "LevenbergMarquardt", 10)
        bars.step(Record(0, 0, 0.1, 1e-3, error=2e-2))
        bars.step(Record(1, 0, 0.2, 1e-4))
        bars.stage(1, 2, "LBFGS", 5)
        bars.message("redrawn [a line with brackets]")
    shown = capsys.readouterr().err
    assert "1/2 LevenbergMarquardt" in shown
    assert "2/2" in shown
    assert "loss 1.0e-04" in shown
    assert "error 2.0e-02" in shown
    assert "[a line with brackets]" in shown


def test_a_bar_goes_by_the_share_that_is_done_where_it_is_known():
    with Bars(console(True)) as bars:
        bars.stage(0, 1, "tensor", 1000)
        bars.step(Record(7, 0, 0.1, 1e-3, estimate=3e-5, share=0.25))
        (task,) = bars._progress.tasks
        assert (task.completed, task.total) == (250, 1000)
        assert task.fields["values"] == " estimate 3.0e-05"


def test_ctrl_c_saves_what_there_is(tmp_path):
    kanpde.solve(
        load("poisson2d")[0], schedule="adam:1", points=50, restarts=1, reference=False
    )  # its kernels are compiled now, if they were not
    command = [
        sys.executable,
        "-m",
        "kanpde",
        "solve",
        "poisson2d",
        "--schedule",
        "adam:1000000",
        "--no-reference",
        "--json",
    ]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    for line in process.stderr:  # the problem is shown just before training begins
        if "exact solution" in line:
            break
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    found = json.loads(out)
    assert found["interrupted"]
    assert {path.name for path in Path(found["run_dir"]).iterdir()} == FILES | {"training.pt"}


def test_the_module_runs_as_a_command():
    done = subprocess.run(
        [sys.executable, "-m", "kanpde", "solve", "poison2d"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(
        "error: poison2d: no such problem or file; did you mean 'poisson2d'"
    )
    assert done.stderr.count("\n") == 1


def test_strict_says_by_its_exit_code_whether_to_believe(undrawn, capsys):
    quick = ["solve", "poisson2d", "--no-reference", "--json", "--width", "2", "--points", "60"]
    assert main([*quick, "--grid", "3", "--schedule", "lm:1", "--strict"]) == 3
    said = json.loads(capsys.readouterr().out)["verdict"]
    assert (said["status"], said["judge"]) == ("not converged", "exact solution")
    assert said["cures"]
    good = ["solve", "poisson2d", "--no-reference", "--json", "--width", "3", "--points", "300"]
    assert main([*good, "--grid", "6", "--schedule", "lm:40", "--strict"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["status"] == "converged"
    assert main([*quick, "--grid", "3", "--schedule", "lm:1"]) == 0
