"""Finite elements on triangles: Lagrange's quadratic functions on meshes of a planar region, whose
triangles at curves are bent as these are (scikit-fem has the mesh, its refinement, the numbers of
the nodes, the functions and the rules of quadrature)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy  # whose parts are imported when they are first used
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int

from kanpde.errors import ProblemError, ReferenceUnavailable
from kanpde.geometry import Domain, Pieces
from kanpde.geometry.curves import Curve, Segment
from kanpde.geometry.joined_pieces import in_plane
from kanpde.geometry.planar import SAME_POINT, BoundaryCurve, Planar
from kanpde.geometry.triangulation import triangulated
from kanpde.reference.grid import Grid, scattered
from kanpde.residual.calculus import MultiIndex

ELEMENT_ORDER = 3
"""Of the values of quadratic elements."""

DEGREE_OF_QUADRATURE = 6
"""Up to which polynomials are integrated exactly over a triangle."""

POINTS_OF_AN_EDGE = 4
"""Of Gauss's rule there."""

FIRST_CELLS_OF_ELEMENTS = 6
"""InnerEdges of the coarsest mesh along the side of a square as large as the domain."""

SHOWN_ALONG = 64
"""Cells of the grid that values are given out on, along the side of such a square."""

CLOSEST = 16
"""Triangles whose middles are closest to a point, among which is the one that holds it."""

PLACED = 1e-14
"""Over the edges of the reference triangle, the step that ends the search for where a place lies in
one that is bent."""

TOWARDS_CORNERS = 2
"""Halvings of the triangles at re-entrant corners beyond those of all others, mesh by mesh: a
solution like r^(1/2) and smoother keeps the order that it has where it is smooth."""

REENTRANT_OPENING = 1.05 * np.pi
"""Angle from which on a corner is re-entrant."""

MOST_FIRST_TRIANGLES = 1000
"""Of a mesh from a file that is refined; others are made anew, so that there are coarser ones by
which the error is seen."""

MOST_CURVES_OF_A_FILE = 100
"""Around a mesh that is made anew; the edges of more are as short as those of the file."""

AREA_OF_EQUILATERAL = 3**0.5 / 4
"""Of the triangle whose edges are 1."""

REFERENCE_EDGES = np.array([[[0.0, 0], [1, 0]], [[1, 0], [0, 1]], [[0, 0], [0, 1]]])
"""Ends of the edges of the triangle (0, 0), (1, 0), (0, 1), in scikit-fem's order."""


def library() -> Any:
    """The package scikit-fem. Raises ReferenceUnavailable where it is not installed."""
    try:
        import skfem
    except ImportError:
        raise ReferenceUnavailable(
            "finite elements need the package scikit-fem; pip install 'kanpde[fem]'"
        ) from None
    return skfem


@dataclass(frozen=True)
class Tabulated:
    """The functions of some triangles at points of them.

    Attributes:
        nodes: Of each triangle.
        at: Where the points are.
        functions: By index of differentiation.
        linear: The same of the linear functions, zero at the middles of edges.
        bent: The derivatives of coordinates by those of the reference triangle.
    """

    nodes: Int[np.ndarray, "triangles functions"]
    at: Float[np.ndarray, "triangles points 2"]
    functions: Mapping[MultiIndex, Float[np.ndarray, "triangles points functions"]]
    linear: Mapping[MultiIndex, Float[np.ndarray, "triangles points functions"]]
    bent: Float[np.ndarray, "triangles points 2 2"]


@dataclass(frozen=True)
class ElementGrid(Grid):
    """Nodes of quadratic elements: the vertices of triangles, then the middles of their edges.

    Pieces do not share their nodes, of which two or more lie at a place where they meet. cells:
    what edges come to along each side of the bounding box; domain: of space; mesh: of scikit-fem,
    with straight edges; piece: the number of each triangle's piece; region: the domain as curves
    have it.
    """

    domain: Domain = field(kw_only=True)
    mesh: Any = field(kw_only=True)
    piece: Int[np.ndarray, " triangles"] = field(kw_only=True)
    region: Planar = field(kw_only=True)

    @cached_property
    def curves(self) -> Sequence[BoundaryCurve]:
        """Around the domain and between its pieces."""
        return [*self.region.bounding, *self.region.seams]

    @cached_property
    def _dofs(self) -> Any:
        skfem = library()
        return skfem.assembly.Dofs(self.mesh, skfem.ElementTriP2())

    @property
    def triangle_nodes(self) -> Int[np.ndarray, "triangles 6"]:
        """Numbers of the nodes of each triangle."""
        return self._dofs.element_dofs.T

    @property
    def nodes(self) -> int:
        """How many."""
        return int(self._dofs.N)

    @cached_property
    def rim(self) -> Int[np.ndarray, " edges"]:
        """Numbers of the edges at the boundary."""
        return self.mesh.boundary_facets()

    @cached_property
    def rim_curves(self) -> Int[np.ndarray, " edges"]:
        """The curve of each edge at a boundary, among `curves`."""
        ends = self.mesh.p[:, self.mesh.facets[:, self.rim]].transpose(2, 1, 0)
        three = np.concatenate([ends, ends.mean(1, keepdims=True)], 1)
        return _nearest(self.curves, three)

    @cached_property
    def faces(self) -> tuple[str, ...]:
        """The face of each edge at a boundary; where two pieces meet, of the edges of both."""
        return tuple(self.curves[k].face for k in self.rim_curves)

    @cached_property
    def node_pieces(self) -> Int[np.ndarray, " nodes"]:
        """The number of each node's piece."""
        found = np.zeros(self.nodes, int)
        found[self.triangle_nodes] = self.piece[:, None]
        return found

    def own(self, piece: str) -> Int[np.ndarray, " own"]:
        """Numbers of the nodes of a piece.

        Args:
            piece: Its name.
        """
        assert isinstance(self.domain, Pieces)
        return np.flatnonzero(self.node_pieces == list(self.domain.regions).index(piece))

    def home(self, unknown: str) -> str:
        """The name of the piece that a copy of an unknown belongs to, "" where there are none.

        Args:
            unknown: The copy.
        """
        return self.domain.home(unknown) if isinstance(self.domain, Pieces) else ""

    def facing(
        self, first: Int[np.ndarray, " edges"], second: Int[np.ndarray, " edges"]
    ) -> Int[np.ndarray, " edges"]:
        """Which of the edges on one side of an interface is where each of the others is. Raises
        ReferenceUnavailable where one is alone.

        Args:
            first: Numbers of the edges on one side.
            second: On the other side.
        """
        vertices = self.mesh.p.shape[1]
        here, there = (self.places[vertices + edges] for edges in (first, second))
        away, found = scipy.spatial.cKDTree(there).query(here)
        if len(first) != len(second) or away.max() > SAME_POINT * self.region.size:
            raise ReferenceUnavailable("the meshes of two pieces do not fit together")
        return found

    @cached_property
    def places(self) -> Float[np.ndarray, "nodes 2"]:
        """Coordinates of all nodes, those at the boundary on its curves."""
        p, facets = self.mesh.p.T, self.mesh.facets.T
        found = np.concatenate([p, p[facets].mean(1)])
        middles = len(p) + self.rim
        curves = [self.curves[k].curve for k in self.rim_curves]
        found[middles] = _put_on(curves, found[middles])
        return found

    def points(self) -> dict[str, torch.Tensor]:
        """Coordinates of all nodes by name, [nodes] each."""
        return {
            x: torch.from_numpy(np.ascontiguousarray(column))
            for x, column in zip(self.names, self.places.T, strict=True)
        }

    def elimination(self, width: int) -> Int[np.ndarray, " nodes"]:
        """An order of elimination by nested dissection, in units of the cells around.

        Triangles reach over two nodes along each direction.
        """
        low, high = np.array(list(self.bounds.values())).T
        cell = (high - low) / np.array(self.cells)
        return scattered((self.places - low) / cell * 2, 2)

    @property
    def described(self) -> str:
        """In words."""
        return f"quadratic finite elements on {self.mesh.nelements} triangles"

    def close(self, values: Float[np.ndarray, "fields nodes"]) -> Float[np.ndarray, "fields ..."]:
        """Values on the nodes are all that there is."""
        return values

    @cached_property
    def shown(self) -> tuple[int, int]:
        """Cells of the grid that values are given out on: of every mesh the same."""
        lengths = [b - a for a, b in self.bounds.values()]
        mean = float(np.sqrt(np.prod(lengths)))
        return tuple(max(8, round(SHOWN_ALONG * length / mean)) for length in lengths)  # type: ignore[return-value]

    @cached_property
    def _reading(self) -> tuple[Int[np.ndarray, " inside"], sp.csr_matrix]:
        """Which nodes of that grid lie in the domain, and the values there from those on nodes."""
        axes = [
            np.linspace(*self.bounds[x], n + 1) for x, n in zip(self.names, self.shown, strict=True)
        ]
        at = np.stack([m.ravel() for m in np.meshgrid(*axes, indexing="ij")], 1)
        inside = np.flatnonzero(self.domain.inside(torch.from_numpy(at)).numpy())
        return inside, self.reading_at(at[inside])

    def even(self, values: np.ndarray, cells: Sequence[int] | None = None) -> np.ndarray:
        """Values on equidistant nodes of the bounding box, NaN outside of the domain."""
        inside, matrix = self._reading
        shape, rest = tuple(n + 1 for n in self.shown), values.shape[2:]
        found = np.full((len(values), int(np.prod(shape)), *rest), np.nan)
        for v, field_values in enumerate(values):
            found[v, inside] = matrix @ field_values
        return found.reshape(len(values), *shape, *rest)

    def shared(
        self, even: np.ndarray, other: Grid, closed: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Two solutions at the nodes inside, [fields, nodes …]."""
        inside, shape = self._reading[0], (len(even), -1, *even.shape[3:])
        coarse = other.even(closed)
        return even.reshape(shape)[:, inside], coarse.reshape(shape)[:, inside]

    def moved(self, other: Grid, values: np.ndarray) -> np.ndarray:
        """Values on the nodes from those on the nodes of another mesh."""
        assert isinstance(other, ElementGrid)
        return (other.reading_at(self.places, self.node_pieces) @ values.T).T

    def reading_at(
        self, at: Float[np.ndarray, "points 2"], pieces: Int[np.ndarray, " points"] | None = None
    ) -> sp.csr_matrix:
        """The matrix [points, nodes] that gives values at places.

        Between a curve and the triangles that are straight, places belong to the nearest one, whose
        coordinates are found by Newton's method where it is bent.

        Args:
            at: The places, inside of the domain.
            pieces: Numbers of the pieces whose values are meant; by default those of the first one
                where several meet.
        """
        if pieces is None:
            pieces = piece_at(self.domain, at)
        triangle, place, rows = np.zeros(len(at), int), np.zeros((len(at), 2)), np.arange(len(at))
        for k in np.unique(pieces):
            own, among = np.flatnonzero(pieces == k), np.flatnonzero(self.piece == k)
            nearest, place[own] = self._nearest_among(among, at[own])
            triangle[own] = among[nearest]
        for _ in range(6):
            _, _, here, bent = self._mapped(triangle, place[:, None])
            step = np.einsum("pa,pab->pb", at - here[:, 0], np.linalg.inv(bent[:, 0]))
            place = place + step
            if np.abs(step).max(initial=0.0) < PLACED:
                break
        functions = self._mapped(triangle, place[:, None])[0][:, 0]
        nodes = self.triangle_nodes[triangle]
        row = np.repeat(rows, nodes.shape[1])
        return sp.csr_matrix((functions.ravel(), (row, nodes.ravel())), shape=(len(at), self.nodes))

    def _nearest_among(
        self, triangles: Int[np.ndarray, " triangles"], at: Float[np.ndarray, "points 2"]
    ) -> tuple[Int[np.ndarray, " points"], Float[np.ndarray, "points 2"]]:
        """Which of some triangles places lie in, or next to, and where."""
        corners = self.mesh.p.T[self.mesh.t.T[triangles]]
        tree = scipy.spatial.cKDTree(corners.mean(1))
        some = min(CLOSEST, len(corners))
        close = tree.query(at, some)[1].reshape(len(at), some)
        origin, edges = corners[:, 0], corners[:, 1:] - corners[:, :1]
        back = np.linalg.inv(edges)
        local = np.einsum("pka,pkab->pkb", at[:, None] - origin[close], back[close])
        depth = np.minimum(local.min(2), 1 - local.sum(2))
        best, rows = depth.argmax(1), np.arange(len(at))
        return close[rows, best], local[rows, best]

    def _mapped(
        self, triangles: np.ndarray, at: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """At points of the reference triangle: functions, their first derivatives by its
        coordinates, the places in triangles, and J_ab = ∂x_b/∂ξ_a."""
        values, slopes = _local(at)
        places = self.places[self.triangle_nodes[triangles]]
        return values, slopes, values @ places, np.einsum("tqma,tmb->tqab", slopes, places)

    def tabulated(
        self, triangles: Int[np.ndarray, " triangles"], at: Float[np.ndarray, "triangles points 2"]
    ) -> Tabulated:
        """Functions and their derivatives.

        Args:
            triangles: Their numbers.
            at: Points by coordinates of the reference triangle.
        """
        nodes = self.triangle_nodes[triangles]
        values, slopes, where, bent = self._mapped(triangles, at)
        curvatures = _curvatures(at)
        curved = np.einsum("tqmac,tmb->tqacb", curvatures, self.places[nodes])
        back = np.linalg.inv(bent)
        flat = at[..., 0], at[..., 1]
        linear = np.stack([1 - flat[0] - flat[1], *flat], -1)
        pad = np.zeros((*linear.shape[:2], 3))
        steady = np.broadcast_to(np.array([[-1.0, -1], [1, 0], [0, 1]]), (*linear.shape[:2], 3, 2))
        return Tabulated(
            nodes,
            where,
            _derivatives(values, slopes, curvatures, back, curved),
            _derivatives(
                np.concatenate([linear, pad], -1),
                np.concatenate([steady, np.zeros_like(steady)], 2),
                np.zeros_like(curvatures),
                back,
                curved,
            ),
            bent,
        )


def _local(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The quadratic functions on the reference triangle, and their first derivatives."""
    element, points = library().ElementTriP2(), at.reshape(-1, 2).T
    found = [element.lbasis(points, i) for i in range(len(element.doflocs))]
    shape = (*at.shape[:-1], len(found))
    values = np.stack([phi + 0 * points[0] for phi, _ in found], -1)
    slopes = np.stack([dphi.T for _, dphi in found], 1)
    return values.reshape(shape), slopes.reshape(*shape, 2)


def _curvatures(at: np.ndarray) -> np.ndarray:
    """Their second derivatives: differences of first ones, which are exact for polynomials of
    degree three."""
    steps = 0.5 * np.eye(2)
    return np.stack([_local(at + step)[1] - _local(at - step)[1] for step in steps], -1)


def _derivatives(
    values: np.ndarray,
    slopes: np.ndarray,
    curvatures: np.ndarray,
    back: np.ndarray,
    curved: np.ndarray,
) -> dict[MultiIndex, np.ndarray]:
    """By coordinates, from those by the reference triangle's: ∇u = J⁻¹ ∂u, and the second ones
    without what the bending of the triangle adds to them.

    Args:
        values: Of the functions.
        slopes: Their first derivatives.
        curvatures: Their second ones.
        back: J⁻¹, with J_ab = ∂x_b/∂ξ_a.
        curved: ∂²x_b/∂ξ_a ∂ξ_c, [triangles, points, a, c, b].
    """
    first = slopes @ back.swapaxes(2, 3)
    second = curvatures - np.einsum("tqacb,tqmb->tqmac", curved, first)
    second = back[:, :, None] @ second @ back[:, :, None].swapaxes(3, 4)
    return {
        (0, 0): values,
        (1, 0): first[..., 0],
        (0, 1): first[..., 1],
        (2, 0): second[..., 0, 0],
        (1, 1): second[..., 0, 1],
        (0, 2): second[..., 1, 1],
    }


def piece_at(domain: Domain, at: Float[np.ndarray, "points 2"]) -> Int[np.ndarray, " points"]:
    """The number of the piece that places lie in, the first one where several meet.

    Args:
        domain: In pieces, or in one.
        at: The places.
    """
    if not isinstance(domain, Pieces):
        return np.zeros(len(at), int)
    return domain.region(torch.from_numpy(at)).numpy().astype(int)


def _apart(mesh: Any, piece: Int[np.ndarray, " triangles"]) -> tuple[Any, np.ndarray]:
    """A mesh whose pieces share no vertex, and of its vertices those that they were."""
    vertices = mesh.p.shape[1]
    numbers, t = np.unique(piece * vertices + mesh.t, return_inverse=True)
    before = numbers % vertices
    return library().MeshTri(mesh.p[:, before].copy(), t.reshape(mesh.t.shape)), before


def _nearest(
    bounding: Sequence[BoundaryCurve], points: Float[np.ndarray, "edges 3 2"]
) -> Int[np.ndarray, " edges"]:
    """The curve that both ends of each edge lie on, and next to which its middle is."""
    flat = torch.from_numpy(points.reshape(-1, 2))
    apart = [b.curve.distance(flat).numpy().reshape(-1, 3).sum(1) for b in bounding]
    return np.stack(apart).argmin(0)


def _put_on(curves: Sequence[Curve], points: np.ndarray) -> np.ndarray:
    """Points on curves, next to points near them."""
    pairs = zip(curves, points, strict=True)
    return np.array(
        [
            p if isinstance(c, Segment) else c.at(c.locate((float(p[0]), float(p[1]))))
            for c, p in pairs
        ]
    ).reshape(-1, 2)


class Meshes:
    """Ever finer meshes of a domain of space, each a refinement of the one before.

    Args:
        domain: A planar one.
        cells: Edges of the third mesh along the longest side of the bounding box; None for as
            many meshes as are asked for, the first of FIRST_CELLS_OF_ELEMENTS.

    Raises:
        ReferenceUnavailable: Where there are no triangles, or no scikit-fem.
    """

    def __init__(self, domain: Domain, cells: int | None = None):
        self.domain, self._cells = domain, cells
        lengths = np.array([b - a for a, b in domain.bounds.values()])
        length = float(np.sqrt(domain.volume) / FIRST_CELLS_OF_ELEMENTS)
        if cells is not None:
            length = float(4 * lengths.max() / cells)
        self._region = in_plane(domain)
        self._corners = np.array(
            [c.at for c in self._region.corners if c.opening > REENTRANT_OPENING]
        ).reshape(-1, 2)
        mesh, length = self._first_mesh(length, cells is not None)
        self._first = tuple(max(1, round(float(side / length))) for side in lengths)
        halvings = max(0, round(float(np.log2(np.sqrt(domain.volume) / length))))
        self._meshes = [self._towards_corners(mesh, halvings)]

    def _first_mesh(self, length: float, asked: bool) -> tuple[Any, float]:
        """The coarsest mesh, and the length of its edges. Raises ReferenceUnavailable.

        Args:
            length: Of the edges where it is made; a mesh from a file that is not too fine to be
                refined has its own.
            asked: Whether edges that are longer in a file are halved.
        """
        kind, found = library().MeshTri, self._region.own_triangles()
        simple = len(self._region.bounding) <= MOST_CURVES_OF_A_FILE
        if found is None or (simple and len(found.triangles) > MOST_FIRST_TRIANGLES):
            try:
                found = triangulated(self._region, length)
            except ProblemError as error:
                raise ReferenceUnavailable(str(error)) from error
            return kind(found.points.T.copy(), found.triangles.T.copy()), length
        mesh = kind(found.points.T.copy(), found.triangles.T.copy())
        own = float(np.sqrt(self.domain.volume / len(found.triangles) / AREA_OF_EQUILATERAL))
        while asked and own > np.sqrt(2) * length:
            mesh, own = self._bent(mesh, mesh.refined()), own / 2
        return mesh, own

    def sizes(self) -> Iterator[tuple[int, ...]]:
        """InnerEdges along each side of the bounding box, mesh by mesh."""
        k = 0
        while self._cells is None or k < 3:
            yield tuple(2**k * n for n in self._first)
            k += 1

    def grid(self, along: tuple[int, ...]) -> ElementGrid:
        """The elements on a mesh.

        Args:
            along: One of `sizes`.
        """
        level = round(float(np.log2(along[0] / self._first[0])))
        while len(self._meshes) <= level:
            self._meshes.append(self._finer(self._meshes[-1]))
        return self._on(self._meshes[level], along)[0]

    def _on(self, mesh: Any, along: tuple[int, ...]) -> tuple[ElementGrid, np.ndarray]:
        """The elements, and of their vertices those of the mesh that they are."""
        piece = piece_at(self.domain, mesh.p.T[mesh.t.T].mean(1))
        apart, before = (mesh, np.arange(mesh.p.shape[1]))
        if piece.any():
            apart, before = _apart(mesh, piece)
        bounds = {x: self.domain.bounds[x] for x in self.domain.space}
        grid = ElementGrid(
            bounds,
            along,
            ELEMENT_ORDER,
            domain=self.domain,
            mesh=apart,
            piece=piece,
            region=self._region,
        )
        return grid, before

    def _finer(self, mesh: Any) -> Any:
        """The mesh of half the edges, vertices at the boundary on its curves."""
        return self._towards_corners(self._bent(mesh, mesh.refined()), 1)

    def _towards_corners(self, mesh: Any, halvings: int) -> Any:
        """The mesh with as many times shorter edges at re-entrant corners as suits these halvings
        of all edges."""
        for _ in range(TOWARDS_CORNERS * halvings if len(self._corners) else 0):
            apart = scipy.spatial.distance.cdist(self._corners, mesh.p.T)
            vertices = apart.argmin(1)
            there = np.flatnonzero(np.isin(mesh.t, vertices).any(0))
            mesh = self._bent(mesh, mesh.refined(there))
        return mesh

    def _bent(self, before: Any, mesh: Any) -> Any:
        """The mesh with its vertices that are new on curves put there."""
        grid, vertices = self._on(mesh, (1, 1))
        ends = vertices[grid.mesh.facets[:, grid.rim]]
        points = mesh.p.T.copy()
        for curve, pair in zip(grid.rim_curves, ends.T, strict=True):
            new = pair[pair >= before.p.shape[1]]
            points[new] = _put_on([grid.curves[curve].curve] * len(new), points[new])
        return library().MeshTri(points.T.copy(), mesh.t)
