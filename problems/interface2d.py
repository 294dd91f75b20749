"""Conduction through a plate with a disc of another material in a uniform field (Landau and
Lifshitz, vol. 8, section 8).

Δu = 0 in both; the value and k ∂u/∂n pass through the rim. The field is uniform inside, and a
dipole is added outside.
"""

from kanpde import KAN, Box, Dirichlet, Disk, Interface, Pieces, Problem, Recipe, laplacian

k_disc, k_plate = 10.0, 1.0
radius = 0.4
disc = Disk(x=0, y=0, radius=radius, name="rim")
contrast = (k_disc - k_plate) / (k_disc + k_plate)


def conduction(u, x, y):
    """No heat is made in either."""
    return laplacian(u)


def inside(x, y):
    return (1 - contrast) * x


def outside(x, y):
    return x * (1 - contrast * radius**2 / (x**2 + y**2))


problem = Problem(
    domain=Pieces(disc=disc, plate=Box(x=(-1, 1), y=(-1, 1)) - disc),
    equations=conduction,
    conditions=[Dirichlet(u=outside), Interface(u=0, flux={"disc": k_disc, "plate": k_plate})],
    exact={"u": {"disc": inside, "plate": outside}},
)
kan = Recipe(KAN((5,), 7, 3), 1600, "lm:60,extend:6,lm:60", restarts=3)
