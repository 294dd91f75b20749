"""What the machine can do, and what shells and TensorBoard are told."""

import json
import os
import subprocess
import sys

import pytest
import torch

from kanpde import KAN, RunError, doctor, solve
from kanpde.cli import completion, main, tensorboard
from kanpde.training.history import Silent


def checks(**changed):
    return {check.name: check for check in doctor.examine(**changed)}


def test_a_good_machine_passes_and_solves():
    found = checks()
    assert {check.state for check in found.values()} <= {"ok", "warning"}
    assert found["torch"].found == torch.__version__
    assert found["kernels"].found.startswith("plain"), "as conftest.py has asked for"
    assert found["self-test"].state == "ok"
    assert "poisson2d to" in found["self-test"].found


def test_the_kernels_are_compiled_where_no_others_are_asked_for(monkeypatch):
    monkeypatch.delenv("KANPDE_KERNELS")
    found = checks(test=False)["kernels"]
    assert found.state == "ok"
    assert found.found.startswith("cpu")


def test_the_command_says_it_as_json(capsys):
    assert main(["doctor", "--no-test", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["ok"] is True
    assert {"python", "torch", "cpu", "threads", "gpu", "kernels", "kernel cache", "results"} <= {
        check["name"] for check in said["checks"]
    }
    assert "self-test" not in {check["name"] for check in said["checks"]}


def test_what_is_missing_fails_and_is_named(monkeypatch, capsys):
    monkeypatch.setattr(doctor, "NEEDED_PACKAGES", ("torch", "a-package-that-is-not-there"))
    assert main(["doctor", "--no-test"]) == 1
    said = capsys.readouterr().out
    assert "a-package-that-is-not-there: pip install a-package-that-is-not-there" in said


def test_plain_kernels_are_a_warning(monkeypatch):
    from kanpde.kernels import paths

    monkeypatch.setattr(doctor, "kernel_path", lambda x: paths.PLAIN)
    monkeypatch.delenv("KANPDE_KERNELS", raising=False)
    assert checks(test=False)["kernels"].state == "warning"


def test_a_solution_that_is_wrong_fails(monkeypatch):
    monkeypatch.setattr(doctor, "SELF_TEST_ERROR", 1e-12)
    found = checks()["self-test"]
    assert found.state == "failed"
    assert "doctor --json" in found.advice


def complete(shell, words, folder):
    environment = {
        **os.environ,
        "_KANPDE_COMPLETE": f"complete_{shell}",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_TYPER_COMPLETE_ARGS": words,
    }
    return subprocess.run(
        [sys.executable, "-m", "kanpde"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_shell_completes_problems_and_runs(tmp_path):
    (tmp_path / "results" / "heat1d" / "20261124-100000-seed0").mkdir(parents=True)
    (tmp_path / "results" / "heat1d" / "20261124-100000-seed0" / "summary.json").write_text("{}")
    (tmp_path / "problems").mkdir()
    (tmp_path / "problems" / "poisson9d.py").write_text('"""Mine."""')
    found = complete("bash", "kanpde solve poisson", tmp_path)
    assert found.returncode == 0, found.stderr
    assert (
        {"poisson2d", "poisson9d"}
        <= set(found.stdout.split())
        <= {name for name in found.stdout.split() if name.startswith("poisson")}
    )
    assert complete("bash", "kanpde report results/he", tmp_path).stdout.split() == [
        "results/heat1d/20261124-100000-seed0"
    ]


def test_completions_are_found_without_torch():
    script = (
        "import sys; from kanpde.cli.completion import problems; assert 'burgers1d' in"
        " dict(problems('burg')); sys.exit(' '.join({'torch', 'numpy'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_titles_stay_in_a_line():
    assert all(len(title) <= completion.LONGEST_TITLE for _, title in completion.problems(""))


@pytest.mark.skipif(sys.platform == "win32", reason="not on this system: no bash")
def test_completion_installs_itself(tmp_path):
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "kanpde", "--install-completion", "bash"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "_KANPDE_COMPLETE=complete_bash"
        in (tmp_path / ".bash_completions" / "kanpde.sh").read_text()
    )


def test_tensorboard_gets_every_step_and_the_pictures(poisson, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tensorboard.logged(tmp_path, "poisson2d") as log:
        result = solve(
            poisson,
            network=KAN((2,), 4, 3),
            schedule="lm:4",
            points=60,
            restarts=1,
            reference=False,
            observer=log.beside(Silent()),
        )
        log.result(result)
    (folder,) = (tmp_path / "poisson2d").iterdir()
    events = EventAccumulator(str(folder))
    events.Reload()
    logged = events.Scalars("loss/collocation points")
    assert [s.step for s in logged] == result.history.column("step")
    assert [s.value for s in logged] == pytest.approx(result.history.column("loss"), rel=1e-6)
    assert {"solution", "network"} <= set(events.Tags()["images"])


def test_without_tensorboard_the_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(RunError, match=r"pip install 'kanpde\[tensorboard\]'"),
        tensorboard.logged(tmp_path, "poisson2d"),
    ):
        pass


def test_without_a_folder_nothing_is_logged():
    with tensorboard.logged(None, "poisson2d") as log:
        assert log is None
