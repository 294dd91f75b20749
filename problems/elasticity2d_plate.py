"""A plate with a hole under tension along x: Kirsch 1898, plane stress, a quarter of it.

At the top of the hole the stress along x is three times that far away. The displacements are given
outside.
"""

from kanpde import KAN, Box, Condition, Dirichlet, Disk, Neumann, Problem, Recipe, d

modulus, nu = 1, 0.3
shear, kappa = modulus / (2 + 2 * nu), (3 - nu) / (1 + nu)


def exact_u(x, y):
    r2 = x**2 + y**2
    return ((kappa + 1) * (x + 2 * x / r2) + 2 * (1 - 1 / r2) * (x**3 - 3 * x * y**2) / r2**2) / (
        8 * shear
    )


def exact_v(x, y):
    r2 = x**2 + y**2
    return (
        (kappa - 3) * y
        - (kappa - 1) * 2 * y / r2
        + 2 * (1 - 1 / r2) * (3 * x**2 * y - y**3) / r2**2
    ) / (8 * shear)


def stress(u, v, x, y):
    """Along x, along y, and shear."""
    along_x, along_y = d(u, x), d(v, y)
    plane = modulus / (1 - nu**2)
    return (
        plane * (along_x + nu * along_y),
        plane * (along_y + nu * along_x),
        shear * (d(u, y) + d(v, x)),
    )


def equilibrium(u, v, x, y):
    xx, yy, xy = stress(u, v, x, y)
    return d(xx, x) + d(xy, y), d(xy, x) + d(yy, y)


def traction(u, v, x, y):
    """On the hole, whose normal is along (x, y)."""
    xx, yy, xy = stress(u, v, x, y)
    return xx * x + xy * y, xy * x + yy * y


symmetric = [
    Dirichlet(u=0, on="x-"),
    Neumann(v=0, on="x-"),
    Dirichlet(v=0, on="y-"),
    Neumann(u=0, on="y-"),
]
problem = Problem(
    domain=Box(x=(0, 4), y=(0, 4)) - Disk(x=0, y=0, radius=1, name="hole"),
    equations=[equilibrium],
    conditions=[
        *symmetric,
        Dirichlet(u=exact_u, v=exact_v, on=("x+", "y+")),
        Condition(traction, on="hole"),
    ],
    exact={"u": exact_u, "v": exact_v},
)

kan = Recipe(KAN(width=(8, 8), degree=7, grid=4), points=1500, schedule="lm:120")
