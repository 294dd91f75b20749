"""Committed tables: each names the commits of its rows, and says at its head where the code has
changed since. The commands that write them are tested with what they measure."""

import json

import pytest

from benchmarks import arguments, commands, tables

TABLES = sorted((tables.ROOT / "results").rglob("*.md"))


@pytest.fixture
def history(monkeypatch):
    """Code that changed after aaa…, not after bbb…; git knows no other commit."""
    known = {"a" * 12: True, "b" * 12: False}
    monkeypatch.setattr(tables, "has_changed", known.get)


def page(*marks, head=""):
    rows = "".join(f"`a command` on a day, commit {mark * 12}; kanpde 0.1.0.\n" for mark in marks)
    return f"# Title\n\n{head}A table.\n\n{rows}"


HEAD = tables.MARK + "`kanpde/` or `kernels/` has changed since it was measured, at "


def test_the_line_names_the_commits_whose_code_has_changed(history):
    assert tables.headed(page("b")) == page("b")
    assert tables.headed(page("a", "b")) == page("a", "b", head=f"{HEAD}commit {'a' * 12}.\n\n")


def test_the_line_is_written_once_and_goes_when_all_is_measured_again(history):
    once = tables.headed(page("a"))
    assert tables.headed(once) == once
    assert tables.headed(once.replace(f"day, commit {'a' * 12}", f"day, commit {'b' * 12}")) == (
        page("b")
    )


def test_nothing_is_said_where_git_does_not_know_a_commit(history):
    for text in (page("a", "c"), page("c", head="> Of earlier code: as it was.\n\n"), page()):
        assert tables.headed(text) == text


def test_git_says_whether_the_code_has_changed(monkeypatch, tmp_path):
    def git(*command):
        return tables.subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *command],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    monkeypatch.setattr(tables, "ROOT", tmp_path)
    git("init", "-q")
    for folder in (*tables.CODE, "docs"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file").write_text("1")
    git("add", ".")
    git("commit", "-qm", "one")
    commit = git("rev-parse", "--short=12", "HEAD")
    assert tables.has_changed.__wrapped__(commit) is False
    (tmp_path / "docs" / "file").write_text("2")
    assert tables.has_changed.__wrapped__(commit) is False
    assert tables.has_changed.__wrapped__(f"{commit}+"), "edited when it was measured"
    (tmp_path / tables.CODE[1] / "file").write_text("2")
    assert tables.has_changed.__wrapped__(commit) is True
    assert tables.has_changed.__wrapped__("0" * 12) is None


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_committed_table_names_its_commit_and_says_when_its_code_has_changed(path):
    text = path.read_text(encoding="utf-8")
    assert tables.commits(text), f"{path}: names no commit"
    assert tables.headed(text) == text, f"{path}: run `python -m benchmarks tables`"


def test_a_table_and_the_numbers_behind_it(history, tmp_path, capsys):
    tables.write(tmp_path, "speed", {"rows": [1.5]}, page("a"))
    assert json.loads((tmp_path / "speed.json").read_text()) == {"rows": [1.5]}
    assert (tmp_path / "speed.md").read_text().startswith(f"# Title\n\n{HEAD}")
    assert commands.main(["tables", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "", "it is up to date"
    (tmp_path / "speed.md").write_text(page("a"))
    assert commands.main(["tables", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"written: {tmp_path / 'speed.md'}\n"


@pytest.mark.parametrize(
    ("text", "seeds"), [("3", (0, 1, 2)), ("0,2", (0, 2)), ("4,", (4,)), (" 1, 0", (1, 0))]
)
def test_seeds_are_shown_as_they_are_read(text, seeds):
    assert arguments.seeds(text) == seeds
    assert arguments.seeds(arguments.shown_seeds(seeds)) == seeds


def test_without_a_command_the_help_is_shown(capsys):
    assert commands.main([]) == 0
    assert "fingerprint" in capsys.readouterr().out


def test_what_one_waits_for_is_told_over_the_import_of_torch(monkeypatch, capsys):
    from benchmarks import start

    spent = {"-c": start.Spent(2.0, 1.0), "-m": start.Spent(0.5, 0.25)}
    monkeypatch.setattr(start, "run", lambda arguments: (spent[arguments[0]], ""))
    monkeypatch.setattr(start, "outside", lambda: start.Spent(5.0, 4.0))
    assert commands.main(["start", "--repeats", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1].split()[-2:] == ["2.50", "4.00"]
    assert lines[2].split()[-2:] == ["0.50s", "0.25s"]


def test_a_fingerprint_says_what_differs(monkeypatch, tmp_path, capsys):
    from benchmarks import fingerprint

    monkeypatch.setattr(fingerprint, "fingerprint", lambda: {"fit": {"steps": 3}, "sweep": []})
    assert commands.main(["fingerprint"]) == 0
    before = tmp_path / "before.json"
    before.write_text(capsys.readouterr().out)
    assert commands.main(["fingerprint", "--against", str(before)]) == 0
    before.write_text(json.dumps({"fit": {"steps": 4}, "sweep": [], "solve": 1.5}))
    assert commands.main(["fingerprint", "--against", str(before)]) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        "fit: was {'steps': 4}, is {'steps': 3}",
        "solve: was 1.5, is None",
        "1 of 3 are the same",
    ]
    assert commands.main(["fingerprint", "--against", str(tmp_path / "none.json")]) == 2
    assert "none.json: No such file" in capsys.readouterr().err
