"""What is asked of the gallery's problems, and the best that others have published for them.

Numbers without a source could not be traced to one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

WEBB = "Webb, Jerad and Cartis 2026, arXiv:2607.02194"
BWLER = "BWLer (barycentric weight layers) 2025, arXiv:2506.23024"
RAISSI = "Raissi, Perdikaris and Karniadakis 2019, J. Comput. Phys. 378"
PINNACLE = "Hao et al. 2023, arXiv:2306.08827"


@dataclass(frozen=True)
class Published:
    """An error from the literature.

    Attributes:
        error: Relative L2.
        how: Parameters, time and machine, as far as they are given.
        source: Where it is published; empty where it could not be traced.
    """

    error: float
    how: str = ""
    source: str = ""


@dataclass(frozen=True)
class Claim:
    """What a problem must reach, and should: relative L2 of the worst seed.

    Attributes:
        must: None where nothing is required.
        aim: What would be good.
        parameters: At most so many.
        seconds: Of training, at most.
        unknowns: Those that count; all where empty.
        mlp: Published errors of MLPs, the best first.
        kan: Published errors of KANs, the best first.
    """

    must: float | None
    aim: float
    parameters: int | None = None
    seconds: float = 600.0
    unknowns: tuple[str, ...] = ()
    mlp: tuple[Published, ...] = ()
    kan: tuple[Published, ...] = ()


CLAIMS: Mapping[str, Claim] = {
    "helmholtz2d": Claim(
        1e-8,
        1e-11,
        2000,
        mlp=(Published(2.0e-9, "2,971; 540 s, GPU"),),
        kan=(Published(1.0e-3, "1,777; 30 min"),),
    ),
    "burgers1d": Claim(
        5e-6,
        5e-9,
        1500,
        mlp=(Published(6.9e-9, "2,251; 49 min, GPU"), Published(6.9e-7, "1,145")),
        kan=(Published(2.4e-2),),
    ),
    "burgers1d_smooth": Claim(
        1e-7,
        1e-12,
        mlp=(
            Published(8.0e-14, "11,285; 346 s, H100", WEBB),
            Published(3.9e-7, "1,365; 16 s, H100"),
        ),
    ),
    "allen_cahn1d_smooth": Claim(
        1e-5,
        1e-7,
        mlp=(Published(3.9e-6, "1,185"),),
        kan=(Published(1.4e-4, "300,000 iterations"),),
    ),
    "kdv1d": Claim(
        1e-4,
        1e-8,
        mlp=(Published(8.2e-11, "11,285; 1,210 s, H100", WEBB), Published(1.5e-4, "1,150")),
    ),
    "wave1d_multiscale": Claim(
        1e-5,
        1e-12,
        mlp=(Published(1.2e-15, "11,225; 635 s, H100", WEBB),),
        kan=(Published(1.8e-3, "an easier wave"),),
    ),
    "convection1d": Claim(
        1e-6, 1e-12, mlp=(Published(2e-13, "β = 40; spectral nodes, no network", BWLER),)
    ),
    "reaction1d": Claim(
        1e-6, 1e-12, mlp=(Published(6.9e-11, "spectral nodes, no network", BWLER),)
    ),
    "klein_gordon1d": Claim(
        2e-6, 1e-9, mlp=(Published(4.8e-6, "1,185"),), kan=(Published(7.6e-3),)
    ),
    "schrodinger1d": Claim(1e-4, 1e-6, mlp=(Published(2.0e-3, "30,802", RAISSI),)),
    "poisson2d_multiscale": Claim(
        1e-5, 1e-11, mlp=(Published(4.5e-14, "11,825; 281 s, H100", WEBB),)
    ),
    "poisson5d": Claim(
        1e-6,
        1e-12,
        mlp=(Published(3.0e-16, "13,313; 407 s, H100", WEBB), Published(4.7e-4, "L-BFGS")),
    ),
    "cavity2d": Claim(
        2e-3,
        1e-4,
        unknowns=("u", "v"),
        mlp=(Published(1.1e-4, "9,219; 403 s, H100", WEBB), Published(3.6e-2, "40,000", PINNACLE)),
        kan=(Published(4.5e-2),),
    ),
    "kuramoto_sivashinsky1d": Claim(
        None, 1e-4, seconds=1800.0, mlp=(Published(5.1e-7, "15,265; 87 min, H100", WEBB),)
    ),
    "poisson2d_holes": Claim(1e-3, 5e-5, mlp=(Published(1.2e-2, "40,000", PINNACLE),)),
    "poisson2d_holes_source": Claim(2e-3, 1e-4, mlp=(Published(1.4e-2, "40,000", PINNACLE),)),
    "poisson2d_lshape": Claim(1e-3, 1e-5),
}
"""By problem of the gallery, in the order of the table."""

CHOSEN = ("allen_cahn1d_smooth", "wave1d_multiscale", "reaction1d", "klein_gordon1d", "poisson5d")
"""Timing by default."""
