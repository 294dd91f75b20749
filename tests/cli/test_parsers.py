"""What options make of the texts that come: each parser, and the line in which typer refuses."""

from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.exceptions import TyperException

from kanpde.cli import parsers
from kanpde.cli.complaints import usage
from kanpde.cli.options import whole

WIDTHS = parsers.whole_numbers("5 or 8,8")


@pytest.mark.parametrize(
    ("parser", "text", "value"),
    [
        (WIDTHS, "5", (5,)),
        (WIDTHS, "8, 8", (8, 8)),
        (parsers.names, " a, b c ", ["a", "b c"]),
        (parsers.schedules, "lm:100;adam:2,lbfgs:5", ["lm:100", "adam:2,lbfgs:5"]),
        (parsers.seeds, "3", range(3)),
        (parsers.seeds, "0,4,7", [0, 4, 7]),
        (parsers.budgets, "50:2000", (50, 2000)),
        (parsers.budgets, "50,200", [50, 200]),
        (parsers.budgets, "50", [50]),
        (parsers.shapes, "2,4,8", [2, 4, 8]),
        (parsers.shapes, "4x4,8", [(4, 4), 8]),
        (parsers.edge, "1,2,5", (1, 2, 5)),
        (parsers.setting, "activation = silu", ("activation", "silu")),
        (parsers.constant, "nu=1e-2", ("nu", 0.01)),
        (parsers.share, "0.25", 0.25),
        (parsers.share, 0.1, 0.1),
        (parsers.share_or_file, "0", 0.0),
        (parsers.share_or_file, "rows.csv", Path("rows.csv")),
        (parsers.gpu_or_cpu, "cuda:1", "cuda:1"),
        (parsers.one_of(("a", "b")), "b", "b"),
    ],
)
def test_texts_are_read(parser, text, value):
    assert parser(text) == value


@pytest.mark.parametrize(
    ("parser", "texts"),
    [
        (WIDTHS, ["", "0", "-1", "5,", "5,,8", "5,x", "1.5", "1" * 16, "nan"]),
        (parsers.names, ["", ",", "a,", " , b"]),
        (parsers.schedules, ["", ";", "lm:5;"]),
        (parsers.seeds, ["", "0", "x", "0,-1", "1,", "2.0"]),
        (parsers.budgets, ["", "0:5", "5:3", "5:", ":", "1:2:3", "a", "0", "5,"]),
        (parsers.shapes, ["", "x", "4x", "0", "4x0", "4,"]),
        (parsers.edge, ["1", "1,2", "1,2,3,4", "0,1,1"]),
        (parsers.setting, ["", "a", "a=", "=1", "1a=2", "a b=1"]),
        (parsers.constant, ["", "a", "a=", "=1", "a=x", "a=nan", "a=inf", "a=1=2"]),
        (parsers.share, ["", "1", "-0.1", "nan", "x"]),
        (parsers.share_or_file, ["1", "rows.pdf"]),
        (parsers.gpu_or_cpu, ["", "gpu", "meta"]),
        (parsers.one_of(("a", "b")), ["", "c", "A"]),
    ],
)
def test_other_texts_are_refused_with_what_was_expected(parser, texts):
    for text in texts:
        with pytest.raises(ValueError, match=r"^expected "):
            parser(text)


Constants = Annotated[list[parsers.Constant] | None, typer.Argument(parser=parsers.constant)]
Seed = Annotated[int, whole("Of the start.", least=0)]


def command(constants: Constants = None, seed: Seed = 3) -> None:
    """A command with an argument and an option."""


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--seed", "x"], "--seed: got 'x'; expected a whole number, 0 or more"),
        (["--seed", "-1"], "--seed: got '-1'; expected a whole number, 0 or more"),
        (["--seed", "1.5"], "--seed: got '1.5'; expected a whole number, 0 or more"),
        (
            ["--seed", "1" * 16],
            f"--seed: got {'1' * 16}; expected a number below 1,000,000,000,000,000",
        ),
        (
            ["nu=1", "nu"],
            "nu: expected a constant of the problem and a number, such as nu=0.01",
        ),
        (["--sed", "1"], "no such option: --sed (Possible options: --seed)"),
        (["--seed"], "option '--seed' requires an argument."),
    ],
)
def test_a_refusal_names_the_option_what_came_and_what_was_expected(arguments, line):
    app = typer.Typer()
    app.command()(command)
    with pytest.raises(TyperException) as refused:
        app(arguments, standalone_mode=False)
    assert usage(refused.value) == line
