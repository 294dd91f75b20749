"""Eighty-five wrong problem files, as people write them on their first day, and the words that the
one line about each must have. A comment `# here` marks the line that it must name."""

from __future__ import annotations

from dataclasses import dataclass

IMPORTS = "import math\nimport numpy as np\nimport torch\nfrom torch import pi, sin\n"
NAMES = "from kanpde import Box, Condition, Dirichlet, Initial, Neumann, Periodic, Problem, Robin\n"
MORE = "from kanpde import Time, d, div, grad, laplacian, normal_derivative\n"


@dataclass(frozen=True)
class WrongFile:
    """A file with a mistake in it.

    Attributes:
        what: The mistake.
        source: The file.
        words: What the message must have.
    """

    what: str
    source: str
    words: tuple[str, ...]

    @property
    def line(self) -> int | None:
        """The line of the mistake; None where it is nowhere in particular."""
        for number, line in enumerate(self.source.splitlines(), 1):
            if "# here" in line:
                return number
        return None


def rod(
    what: str,
    *words: str,
    returns: str = "d(u, t) - d(u, x, x)",
    arguments: str = "u, x, t",
    domain: str = "Box(x=(0, 1)) * Time(t=(0, 1))",
    conditions: str = "[Dirichlet(u=0), Initial(u=lambda x: sin(pi * x))]",
    rest: str = "",
    before: str = "",
    imports: str = IMPORTS + NAMES + MORE,
) -> WrongFile:
    """A rod that cools, with one thing wrong.

    Args:
        what: The mistake.
        *words: What the message must have.
        returns: What the equation returns.
        arguments: What it takes.
        domain: Where it holds.
        conditions: What holds on the faces.
        rest: Further arguments of Problem.
        before: Lines of the equation before it returns.
        imports: The head of the file.
    """
    source = f'''"""A rod that cools."""

{imports}

def heat({arguments}):
{before}    return {returns}


problem = Problem(
    domain={_with_comma(domain)}
    equations=[heat],
    conditions={_with_comma(conditions)}
{rest})
'''
    return WrongFile(what, source, words)


def _with_comma(argument: str) -> str:
    """An argument and its comma, which stands before the mark."""
    text, mark, _ = argument.partition("  # here")
    return f"{text},{mark}"


def plate(
    what: str,
    *words: str,
    returns: str = "laplacian(u) + 1",
    arguments: str = "u, x, y",
    domain: str = "Box(x=(0, 1), y=(0, 1))",
    conditions: str = "[Dirichlet(u=0)]",
    rest: str = "",
    before: str = "",
    imports: str = IMPORTS + NAMES + MORE,
) -> WrongFile:
    """A plate that is heated, with one thing wrong; arguments are those of `rod`."""
    return rod(
        what,
        *words,
        returns=returns,
        arguments=arguments,
        domain=domain,
        conditions=conditions,
        rest=rest,
        before=before,
        imports=imports,
    )


def spring(
    what: str,
    *words: str,
    returns: str = "d(y, t, t) + y",
    arguments: str = "y, t",
    domain: str = "Time(t=(0, 10))",
    conditions: str = "[Initial(y=1, y_t=0)]",
    rest: str = "",
    imports: str = IMPORTS + NAMES + MORE,
) -> WrongFile:
    """A spring, with one thing wrong; arguments are those of `rod`."""
    return rod(
        what,
        *words,
        returns=returns,
        arguments=arguments,
        domain=domain,
        conditions=conditions,
        rest=rest,
        imports=imports,
    )


FUNCTIONS = (
    plate("math.sin", "torch.sin", returns="laplacian(u) + math.sin(x)  # here"),
    plate("np.sin", "torch.sin", returns="laplacian(u) + np.sin(x)  # here"),
    plate("np.exp of the unknown", "torch.exp", returns="laplacian(u) + np.exp(u)  # here"),
    plate("math.exp of the unknown", "torch.exp", returns="laplacian(u) - math.exp(u)  # here"),
    plate(
        "np.interp",
        "Table(",
        returns="laplacian(u) + np.interp(x, [0, 1], [1, 2])  # here",
    ),
    plate("np.where", "torch.where", returns="laplacian(u) + np.where(x < 0.5, 1, 0)  # here"),
    plate("a power by ^", "x**2", returns="laplacian(u) + x^2  # here"),
    plate("abs of math", "torch", returns="laplacian(u) + math.fabs(x)  # here"),
    plate("exp not imported", "from torch import exp", returns="laplacian(u) + exp(x)  # here"),
    plate("e not imported", "from math import e", returns="laplacian(u) + e**x  # here"),
    plate("Sin in capitals", "did you mean 'sin'", returns="laplacian(u) + Sin(x)  # here"),
    plate(
        "a name of kanpde not imported",
        "from kanpde import laplacian",
        returns="laplacian(u) + 1  # here",
        imports="from kanpde import Box, Dirichlet, Problem\n",
    ),
    plate(
        "if on a value",
        "torch.where",
        before="    if x < 0.5:  # here\n        return laplacian(u)\n",
    ),
    plate("max of two", "torch.maximum", returns="laplacian(u) + max(x, y)  # here"),
    plate(
        "a Python loop over points",
        "all points at once",
        returns="laplacian(u) + sum(float(p) for p in x)",
    ),
    plate("float of a coordinate", "torch", returns="laplacian(u) + float(x)  # here"),
    plate(
        "the mean over points", "pointwise", returns="laplacian(u) + u.mean()", arguments="u, x, y"
    ),
    plate("a constant without a name", "k", returns="k * laplacian(u) + 1  # here"),
    plate("division of a tuple", "div", returns="grad(u) / 2  # here"),
)
"""Functions of the wrong library, and names that are not there."""

DERIVATIVES = (
    plate("u.x", "d(u, x)", returns="u.x + 1  # here"),
    plate("u.xx", "d(u, x, x)", returns="u.xx + 1  # here"),
    plate("u(x, y)", "d(u, x)", "already", returns="laplacian(u(x, y)) + 1  # here"),
    plate("u_xx", "d(u, x, x)", returns="u_xx + 1  # here", arguments="u, x, y"),
    plate("u_xx as an argument", "d(u, x, x)", returns="u_xx + u", arguments="u, u_xx, x, y"),
    plate("u.diff(x)", "d(u, x)", returns="u.diff(x) + 1  # here"),
    plate("diff(u, x)", "d(u, x)", returns="diff(u, x) + 1  # here"),
    plate(
        "torch.autograd.grad",
        "d(u, x)",
        returns="torch.autograd.grad(u.sum(), x, create_graph=True)[0] + 1  # here",
    ),
    plate("grad(u)**2", "sum(g**2 for g in grad(u))", returns="grad(u)**2 - 1  # here"),
    plate("grad(u) as a number", "d(u, x)", returns="grad(u) - 1  # here"),
    plate("grad(u, x)", "d(u, x)", returns="grad(u, x) - 1  # here"),
    plate("laplacian(u, x, y)", "laplacian(u)", returns="laplacian(u, x, y) + 1  # here"),
    plate("d(u, 'x', 2)", "d(u, x, x)", returns="d(u, x, 2) + 1  # here"),
    plate("d(u, x**2)", "d(u, x, x)", returns="d(u, x**2) + 1  # here"),
    plate("d(u)", "d(u, x)", returns="d(u) + 1  # here"),
    plate("d(u, u)", "coordinate", returns="d(u, u) + 1  # here"),
    plate("u.grad", "d(u, x)", returns="u.grad + 1  # here"),
    plate("u.backward()", "d(u, x)", returns="u.sum().backward() + 1  # here"),
    plate("gradient(u)", "grad", returns="div(gradient(u)) + 1  # here"),
    plate("div of a number", "grad", returns="div(u) + 1  # here"),
    plate("a derivative of order 6", "order 6", returns="d(u, x, x, x, x, x, x) + u"),
    plate("no return", "return", before="    laplacian(u) + 1\n", returns="None"),
    plate("an equation with =", "return", returns="laplacian(u) == 1"),
)
"""Derivatives as other libraries write them."""

CONDITIONS = (
    plate("Dirichlet(0)", "Dirichlet(u=0)", conditions="[Dirichlet(0)]  # here"),
    plate("Dirichlet('u', 0)", "Dirichlet(u=0)", conditions="[Dirichlet('u', 0)]  # here"),
    plate("Neumann(0)", "Neumann(u=0)", conditions="[Neumann(0)]  # here"),
    rod("Initial(0)", "Initial(u=0)", conditions="[Dirichlet(u=0), Initial(0)]  # here"),
    plate("at=", "on='x-'", conditions="[Dirichlet(u=0, at='x-')]  # here"),
    plate("face=", "on='x-'", conditions="[Dirichlet(u=0, face='x-')]  # here"),
    plate("on='left'", "x-", conditions="[Dirichlet(u=0, on='left')]  # here"),
    plate("on='x=0'", "x-", conditions="[Dirichlet(u=0, on='x=0')]  # here"),
    plate("on='x'", "x-", conditions="[Dirichlet(u=0, on='x')]  # here"),
    plate("on=0", "'x-'", conditions="[Dirichlet(u=0, on=0)]  # here"),
    plate(
        "another unknown",
        "unknown 'T': no equation mentions it",
        conditions="[Dirichlet(u=0), Dirichlet(T=0)]",
    ),
    plate("a string as a value", "lambda", conditions="[Dirichlet(u='sin(x)')]  # here"),
    plate("sin(x) in a value", "lambda x: sin(x)", conditions="[Dirichlet(u=sin(x))]  # here"),
    plate("a tuple as a condition", "Dirichlet(", conditions="[('x-', 0)]  # here"),
    plate("the class itself", "Dirichlet(…)", conditions="[Dirichlet]  # here"),
    plate("no conditions", "Dirichlet(u=0", conditions="[]  # here"),
    plate("one face forgotten", "y+", conditions="[Dirichlet(u=0, on=('x-', 'x+', 'y-'))]"),
    plate(
        "a pair of faces forgotten",
        "y- or y+",
        "add Dirichlet",
        conditions="[Dirichlet(u=0, on=('x-', 'x+'))]  # here",
    ),
    plate("where as a string", "function", conditions="[Dirichlet(u=0, where='x < 0')]  # here"),
    plate(
        "where of another coordinate",
        "coordinate",
        conditions="[Dirichlet(u=0, where=lambda z: z < 0)]  # here",
    ),
    plate("Periodic(x)", 'Periodic("x")', conditions="[Periodic(x), Dirichlet(u=0)]  # here"),
    plate(
        "Periodic and Dirichlet",
        "contradicts",
        conditions="[Periodic('x'), Dirichlet(u=0)]  # here",
    ),
    plate("only slopes", "pin", conditions="[Neumann(u=0)]  # here"),
    plate(
        "twice the same face",
        "contradicts",
        conditions="[Dirichlet(u=0), Dirichlet(u=1, on='x-')]  # here",
    ),
    plate("Robin without u", "Robin(u=0", conditions="[Robin(a=1, b=2)]  # here"),
    rod("no initial value", "add Initial(u=…)", conditions="[Dirichlet(u=0)]"),
    rod(
        "a final value",
        "t-",
        conditions="[Dirichlet(u=0), Dirichlet(u=1, on='t+')]  # here",
    ),
    rod("Initial(u0=…)", "no such unknown", conditions="[Dirichlet(u=0), Initial(u0=1)]  # here"),
    rod(
        "an initial value that depends on t",
        "x",
        conditions="[Dirichlet(u=0), Initial(u=lambda s: s)]  # here",
    ),
)
"""Conditions."""

DOMAINS = (
    plate("Box((0, 1), (0, 1))", "Box(x=(0, 1), y=(0, 1))", domain="Box((0, 1), (0, 1))  # here"),
    plate(
        "Disk((0, 0), 2)",
        "Disk(x=0, y=0, radius=1)",
        imports=NAMES.replace("Box", "Box, Disk") + MORE,
        domain="Disk((0, 0), 2)  # here",
    ),
    plate("Box(0, 1)", "Box(x=(0, 1))", domain="Box(0, 1)  # here"),
    rod("Time(0, 1)", "Time(t=(0, 1))", domain="Box(x=(0, 1)) * Time(0, 1)  # here"),
    rod("Time of one number", "(low, high)", domain="Box(x=(0, 1)) * Time(t=1)  # here"),
    plate(
        "an interval as a list of three", "(low, high)", domain="Box(x=(0, 1, 2), y=(0, 1))  # here"
    ),
    plate("high before low", "did you mean (0, 1)", domain="Box(x=(1, 0), y=(0, 1))  # here"),
    plate("a dictionary as the domain", "Box(x=(0, 1))", domain="{'x': (0, 1)}  # here"),
    rod("no * Time", "Box(…) * Time(t=…)", domain="Box(x=(0, 1), t=(0, 1))"),
    rod("no time at all", "Time(t=", domain="Box(x=(0, 1))"),
    rod(
        "t missing from the arguments",
        "add t",
        returns="d(u, t) - d(u, x, x)  # here",
        arguments="u, x",
    ),
    rod("time first", "time comes last", domain="Time(t=(0, 1)) * Box(x=(0, 1))  # here"),
    rod("Box + Time", "* Time", domain="Box(x=(0, 1)) + Time(t=(0, 1))  # here"),
    plate("a coordinate that is not there", "z", arguments="u, x, z", returns="laplacian(u) + z"),
)
"""Domains and coordinates."""

PROBLEMS = (
    rod("backward heat", "backward", "d(u, t) - ", returns="d(u, t) + d(u, x, x)"),
    WrongFile(
        "equation=",
        plate("", returns="laplacian(u)").source.replace(
            "equations=[heat],", "equation=heat,  # here"
        ),
        ("equations=",),
    ),
    WrongFile(
        "bcs=",
        plate("").source.replace(
            "    conditions=[Dirichlet(u=0)],", "    bcs=[Dirichlet(u=0)],  # here"
        ),
        ("conditions=",),
    ),
    WrongFile(
        "pde=", plate("").source.replace("equations=[heat],", "pde=heat,  # here"), ("equations=",)
    ),
    WrongFile(
        "heat() for heat",
        plate("").source.replace("equations=[heat],", "equations=[heat()],  # here"),
        ("without ()",),
    ),
    WrongFile(
        "the equation as a string",
        plate("").source.replace("equations=[heat],", "equations=['u_xx = 1'],  # here"),
        ("function",),
    ),
    WrongFile(
        "problem under another name",
        plate("").source.replace("problem =", "pde ="),
        ("problem = Problem(",),
    ),
    WrongFile(
        "a bracket too few",
        plate("").source.replace("laplacian(u) + 1", "(laplacian(u) + 1  # here"),
        ("bracket",),
    ),
    WrongFile(
        "no colon",
        plate("").source.replace("def heat(u, x, y):", "def heat(u, x, y)  # here"),
        ("':'",),
    ),
    WrongFile(
        "a tab too few",
        plate("")
        .source.replace("    return", "return  # here")
        .replace("# here laplacian(u) + 1", "# here"),
        ("indent",),
    ),
    plate(
        "two equations for one unknown", "2 equations for 1 unknown", returns="(laplacian(u), u)"
    ),
    plate(
        "one equation for two unknowns",
        "1 equation for 2 unknowns",
        returns="laplacian(u) + v",
        arguments="u, v, x, y",
        conditions="[Dirichlet(u=0, v=0)]",
    ),
    spring("no rate at the start", "Initial(y_t=…)", conditions="[Initial(y=1)]"),
    spring("nothing at the start", "Initial(y=…, y_t=…)", conditions="[]  # here"),
    spring(
        "Dirichlet at both ends of time",
        "Initial(y=…)",
        returns="d(y, t) + y",
        conditions="[Dirichlet(y=1)]  # here",
    ),
)
"""Problems as a whole."""

WRONG = (*FUNCTIONS, *DERIVATIVES, *CONDITIONS, *DOMAINS, *PROBLEMS)
