"""What holds the supervoxels of a segment together."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import Self

    from numpy.typing import NDArray

    from bfly.splitting.contacts import Contacts

__all__ = ["Edges", "brightness_factors", "contact_edges", "imported_edges", "merge_edges"]

SHARPNESS = 8
"""Power of the brightness at a contact, relative to that inside the brighter supervoxel. A membrane
of FIB-25 has 0.78 of the brightness inside neurons, and with that 0.14 of the weight of an equal
area there."""

LARGE = 1e6
"""Cubic nanometres. The larger supervoxel of two counts by the root of its volume, up to this:
specks on membranes go with others of their size."""

ABOVE = 4
"""How many times the weakest imported edge outweighs the strongest other one: two levels."""


class Edges(NamedTuple):
    """Pairs of supervoxels that are connected.

    Parameters
    ----------
    pairs : numpy.ndarray
        uint64 of shape (n, 2). A pair may occur more than once.
    weights : numpy.ndarray
        float64: how much speaks against a cut. Weights are compared with each other only; 0 is
        less than any other weight.
    areas : numpy.ndarray
        float64, nm² of contact; 0 where it is unknown.
    """

    pairs: NDArray[np.uint64]
    weights: NDArray[np.float64]
    areas: NDArray[np.float64]

    def plus(self, other: Self) -> Edges:
        """Return the edges of both."""
        return Edges(
            np.concatenate([self.pairs, other.pairs]),
            np.concatenate([self.weights, other.weights]),
            np.concatenate([self.areas, other.areas]),
        )


def contact_edges(touching: Contacts, factors: NDArray[np.float64] | float = 1.0) -> Edges:
    """Return the edges of supervoxels that touch.

    Parameters
    ----------
    touching : Contacts
        Pairs and areas.
    factors : numpy.ndarray or float
        float64, what the weight of each contact is multiplied by: `brightness_factors`, or mean
        affinities. Without it, the weight is that of the area and of the volumes alone.
    """
    weights = touching.areas / np.sqrt(np.minimum(touching.volumes.max(axis=1, initial=0), LARGE))
    return Edges(touching.pairs, weights * factors, touching.areas)


def brightness_factors(
    brightness: NDArray[np.float64], inside: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return factors of contacts in an electron micrograph: membranes are dark.

    Parameters
    ----------
    brightness : numpy.ndarray
        float64, mean across each contact (`bfly.splitting.contacts.face_means`).
    inside : numpy.ndarray
        float64 of shape (n, 2), mean inside the two supervoxels of each contact
        (`bfly.splitting.contacts.inner_means`).
    """
    factors: NDArray[np.float64] = brightness / np.maximum(inside.max(axis=1), 1e-9)
    return factors**SHARPNESS


def merge_edges(pairs: NDArray[np.uint64]) -> Edges:
    """Return the edges that merges made: cut first, but they connect what does not touch.

    Parameters
    ----------
    pairs : numpy.ndarray
        uint64 of shape (n, 2).
    """
    nothing = np.zeros(len(pairs))
    return Edges(pairs, nothing, nothing)


def imported_edges(
    pairs: NDArray[np.uint64], weights: NDArray[np.float32], others: NDArray[np.float64]
) -> Edges:
    """Return the edges of an imported graph: cut last, the weakest of them first.

    Another program, or a person, has judged them, so each has more weight than any edge that is
    worked out from contacts. Their ratios stay.

    Parameters
    ----------
    pairs : numpy.ndarray
        uint64 of shape (n, 2).
    weights : numpy.ndarray
        float32 of shape (n,), above 0.
    others : numpy.ndarray
        float64, weights of all other edges.
    """
    strongest = float(others.max(initial=0)) or 1.0
    scale = ABOVE * strongest / float(weights.min(initial=np.inf)) if len(weights) else 1.0
    return Edges(pairs, weights.astype(np.float64) * scale, np.zeros(len(pairs)))
