"""Remedies for a WARN or FAIL of each check."""

from __future__ import annotations

_TRAIN_LONGER = "Train longer: TrainAutoencoder.py with more --epochs; look whether the curves were still falling."
_SEED = "Build and train it again with another --seed, or with a smaller --latent-dim."
REMEDIES = {
    "reconstruction": _TRAIN_LONGER,
    "generalisation": "Prepare more images, train with --flip, or for fewer --epochs.",
    "dead dimensions": _SEED,
    "correlated dimensions": _SEED,
    "effective rank": "Search by cosine, or train for similarity, which spreads the codes.",
    "distinct codes": "Train again with a tenth of the --learning-rate; flat curves are lost.",
    "retrieval against chance": "Look at the neighbours below: if they look alike, the classes are not what one sees. "
    + _TRAIN_LONGER,
    "retrieval against PCA": "Train for similarity, or start from another architecture; " + _TRAIN_LONGER[0].lower()
    + _TRAIN_LONGER[1:],
    "retrieval against pixels": "Take a larger --latent-dim, or train for similarity.",
    "weakest class": "See which classes are found in its place (retrieval by class), and add images of it.",
    "copies with noise": "Build the architecture kind-look, which takes noise away first, or train with "
    "--similarity-weight 0.1 --noise 0.15.",
    "copies with projection": "Train for similarity, whose views are seen at angles.",
    "leaks": "Quote numbers of the others alone, or take the images of duplicates.csv out of the source.",
}  # fmt: skip
"""What to do about a WARN or FAIL, by the name of the check."""
_OF_SIMILARITY = {
    "effective rank": _TRAIN_LONGER,
    "retrieval against PCA": _TRAIN_LONGER,
    "retrieval against pixels": "Take a larger --latent-dim. " + _TRAIN_LONGER,
    "copies with noise": "Build the architecture kind-look, which takes noise away first, or train with --noise 0.15.",
    "copies with projection": _TRAIN_LONGER,
}


def remedy(check: str, *, for_similarity: bool, has_denoiser: bool) -> str:
    """Say what to do about a WARN or FAIL.

    Args:
        check: Name of the check.
        for_similarity: Whether the run is trained for similarity.
        has_denoiser: Whether its network takes noise away.
    """
    if has_denoiser and check == "copies with noise":
        return "Train it for more --denoiser-epochs, or with more images."
    return _OF_SIMILARITY.get(check, REMEDIES[check]) if for_similarity else REMEDIES[check]
