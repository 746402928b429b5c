"""The figures of a report: what was measured, drawn, with words on what to look for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latentsearch import mosaics, plots
from latentsearch.datasets import SPLITS
from latentsearch.evidence import Evidence
from latentsearch.gallery import Gallery
from latentsearch.metrics import correlations

_NUM_PAIR_PLOT_IMAGES = 1000
_NUM_PAIRS = 20  # of duplicates: so many of the most, and of the least alike
_MAX_PAIRED_DIMENSIONS = 12  # beyond, panels are too many to be drawn or seen


_CURVE_TEXT = (
    "Good: both curves flatten out close together. Poor: still falling (train longer), or validation turns away from "
    "training (learnt by heart). Broken: flat from the start, or leaping."
)
_CURVE_TEXTS = {
    "similarity": "Good: both fall and flatten out. Their levels compare only where a batch has about 500 images: the "
    "loss grows with the number of images that a view is told apart from. Broken: flat at the start's level.",
    "retrieval": "Good: both rise and flatten out. Poor: copies are found, but P@10 stays low: codes tell images "
    "apart, not kinds. Broken: flat from the start.",
}


@dataclass(frozen=True)
class Picture:
    """A figure of the report.

    Args:
        name: File name without suffix.
        title: Heading.
        text: What to look for: good, poor, broken.
        figure: The figure itself.
    """

    name: str
    title: str
    text: str
    figure: Figure


def draw(evidence: Evidence, gallery: Gallery) -> list[Picture]:
    """All figures of the report, in its order.

    Args:
        evidence: What was measured.
        gallery: Codes of all images, to show neighbours.
    """
    names, classes = evidence.dataset.class_names, evidence.class_of_image
    own = evidence.own_score
    sample = np.linspace(0, len(classes) - 1, min(_NUM_PAIR_PLOT_IMAGES, len(classes))).astype(int)
    curve_of = {
        f"{score.method} ({score.metric})": score.precision_curve
        for score in (own, *map(evidence.rival_score, evidence.baseline_names))
    }
    table = pd.DataFrame({name: {m: v.value for m, v in ms.items()} for name, ms in own.by_class.items()}).T
    projected = evidence.test_ids[evidence.projected]
    return [
        Picture(
            "neighbours",
            "Nearest gallery images",
            "The first test image of each class, and its nearest gallery images by code. Green: same class. "
            "Good: mostly green, and what is red looks alike. Poor: same colours, other things. "
            "Broken: no likeness at all, or the same neighbours for every query.",
            _neighbours(evidence, gallery),
        ),
        Picture(
            "comparison",
            "The same queries, asked with other vectors",
            "For each test image at the left, its five nearest gallery images by each kind of vector. Green: same "
            "class. Good: the last block is greener than those before it. Poor: no difference.",
            _comparison(evidence),
        ),
        Picture(
            "precision_curve",
            "Precision against depth",
            "Good: far above chance and the baselines, falling slowly. Poor: on the baselines. Broken: flat at chance.",
            plots.precision_curves(curve_of, float(evidence.chance.mean())),
        ),
        Picture(
            "retrieval_by_class",
            f"Retrieval by class ({own.metric})",
            "Good: no row near chance. A weak class is mostly answered with images of another.",
            plots.class_table(table, "share"),
        ),
        *_reconstruction_pictures(evidence),
        Picture(
            "error_by_class",
            "Reconstruction error by class",
            "Good: bars of similar length. A class far longer than the others has images that ten numbers describe "
            "badly (much texture, strong contrast).",
            plots.bars(evidence.error_by_class, "mean squared error", ("PCA, all classes", evidence.linear.mse)),
        ),
        Picture(
            "pair_plot",
            "Latent dimensions in pairs",
            "Good: round clouds, classes in different places. Poor: narrow bands (two dimensions say the same). "
            "Broken: lines or single points (dead or copied dimensions).",
            plots.pair_plot(evidence.codes[sample, :_MAX_PAIRED_DIMENSIONS], classes[sample], names),
        ),
        Picture(
            "code_distributions",
            "Distribution of each latent dimension",
            "Good: broad, and shifted between classes. Poor: the same for every class. Broken: one spike.",
            plots.code_distributions(evidence.codes, classes, names),
        ),
        Picture(
            "correlations",
            "Correlation of the latent dimensions",
            "Good: pale off the diagonal. Broken: a cell at 1 or -1 off the diagonal: two copies of one dimension.",
            plots.correlation_map(correlations(evidence.codes)),
        ),
        Picture(
            "class_map",
            "Map of the test codes by class (UMAP)",
            "Good: islands or regions of one colour. Poor: gradual mixtures. Broken: all colours everywhere.",
            plots.class_map(evidence.points, classes[evidence.projected], names),
        ),
        Picture(
            "thumbnail_map",
            "Map of the test codes by image (UMAP)",
            "What do neighbours share? Kinds of things: good. Only background colour and brightness: poor.",
            mosaics.thumbnail_map(evidence.points, evidence.dataset.images[projected]),
        ),
        *_duplicate_pictures(evidence),
        *(
            Picture(
                f"training_{name}",
                f"Training: {plots.CURVE_TITLES[measure]}",
                _CURVE_TEXTS.get(name, _CURVE_TEXT),
                plots.curves(evidence.history, measure),
            )
            for name, measure in plots.curves_of(evidence.history).items()
        ),
    ]


def _comparison(evidence: Evidence) -> Figure:
    dataset = evidence.dataset
    return mosaics.neighbour_blocks(
        dataset.images[evidence.compared],
        {method: dataset.images[ids] for method, ids in evidence.neighbours.items()},
        {
            method: dataset.labels[ids] == dataset.labels[evidence.compared][:, None]
            for method, ids in evidence.neighbours.items()
        },
    )


def _reconstruction_pictures(evidence: Evidence) -> list[Picture]:
    texts = {
        "first": "Good: blurred, but layout, pose and colour are right. Poor: right colours only. "
        "Broken: the same image every time.",
        "best": "Easy images: smooth, with few edges.",
        "worst": "Hard images: texture and strong contrast, which ten numbers cannot hold.",
    }
    pictures = []
    for title, (ids, reconstructions) in evidence.examples.items():
        rows = np.searchsorted(evidence.test_ids, ids)
        captions = [f"{evidence.errors[row]:.4f}" for row in rows]
        images = {"original": evidence.dataset.images[ids], "reconstruction": reconstructions}
        heading = {"first": "The first 10 test images", "best": "The best 10", "worst": "The worst 10"}[title]
        figure = mosaics.image_rows(images, captions)
        pictures.append(
            Picture(f"reconstructions_{title}", f"{heading}, with their squared error", texts[title], figure)
        )
    copies = mosaics.image_rows(evidence.copies)
    text = "The alterations of the copy checks: each copy should find its original among all gallery images."
    return [*pictures, Picture("copies", "Altered copies", text, copies)]


def _duplicate_pictures(evidence: Evidence) -> list[Picture]:
    found, dataset = evidence.duplicates, evidence.dataset
    if not len(found.pairs):
        return []
    # Most alike first, as `found` has them, one of each group: a series of shots would fill the picture. Pairs that
    # are not between test and gallery stand in only where few are.
    across = found.places(dataset) == "across"
    rows = np.argsort(~across, kind="stable")
    rows = rows[np.sort(np.unique(found.groups[found.pairs[rows, 0]], return_index=True)[1])]
    rows = rows[: max(int(across[rows].sum()), 2 * _NUM_PAIRS)]
    shown = np.concatenate([rows[:_NUM_PAIRS], rows[_NUM_PAIRS:][-_NUM_PAIRS:]])
    captions = [
        f"{found.likeness[row]:.2f}{' mirrored' if found.mirrored[row] else ''}\n"
        + ", ".join(f"{SPLITS[dataset.split[image]]} {image}" for image in found.pairs[row])
        for row in shown
    ]
    return [
        Picture(
            "duplicates",
            "Duplicates: the most alike, then the least",
            "Pairs that were taken for the same shot, one of each group, those between test and gallery first, with "
            "their likeness and ids. The last ones tell whether the threshold is right. Good: the same shot to the "
            "last pair. Poor: the last ones are two shots of one scene. Broken: different things.",
            mosaics.image_pairs(dataset.images[found.pairs[shown]], captions),
        )
    ]


def _neighbours(evidence: Evidence, gallery: Gallery) -> Figure:
    dataset = evidence.dataset
    firsts = [np.flatnonzero(evidence.labels == label)[:1] for label in range(len(dataset.class_names))]
    queries = evidence.test_ids[np.concatenate(firsts)]
    found = gallery.only(dataset.gallery_ids()).ask(gallery.codes[queries], 10, metric=evidence.metric)
    name_of = np.array(dataset.class_names)
    return mosaics.neighbour_rows(
        dataset.images[queries],
        name_of[dataset.labels[queries]].tolist(),
        dataset.images[found.ids],
        name_of[dataset.labels[found.ids]].tolist(),
        (dataset.labels[found.ids] == dataset.labels[queries][:, None]).astype(int),
    )
