"""The figures of a report, with words on what to look for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from latentsearch.data import SPLITS
from latentsearch.evaluation.code_figures import code_pictures
from latentsearch.evaluation.evaluation import Evaluation
from latentsearch.evaluation.picture import Picture
from latentsearch.gallery.gallery import Gallery
from latentsearch.plots import charts, image_grids
from latentsearch.text import printable

_NUM_PAIRS = 20  # of duplicates: so many of the most, and of the least alike
_MAX_CLASS_ROWS = 40
_MAX_QUERIES = 20

_CURVE_TEXT = (
    "Good: both curves flatten out close together. Poor: still falling (train longer), or validation turns away from "
    "training (learnt by heart). Broken: flat from the start, or leaping."
)
_CURVE_TEXTS = {
    "similarity": "Good: both fall and flatten out. Their levels compare only where a batch has about 500 images: the "
    "loss grows with the number of images that a view is told apart from. Broken: flat at the start's level.",
    "retrieval": "Good: both rise and flatten out. Poor: copies are found, but P@10 stays low: codes tell images "
    "apart, not kinds. Broken: flat from the start.",
    "copies": "Good: it rises and flattens out. Broken: flat from the start.",
}


def draw(evaluation: Evaluation, gallery: Gallery) -> list[Picture]:
    """Draw all figures of the report, in its order; without labels those that need none.

    Args:
        evaluation: The measurements.
        gallery: Codes of all images, for figures of neighbours.
    """
    labelled = evaluation.is_labelled
    return [
        Picture(
            "neighbours",
            "Nearest gallery images",
            "The first test image of each class, and its nearest gallery images by code. Thick frame: same "
            "class. Good: mostly thick, and what is thin looks alike. Poor: same colours, other things. "
            "Broken: no likeness at all, or the same neighbours for every query."
            if labelled
            else "The first test images, and their nearest gallery images by code. Good: the same kind of thing. "
            "Poor: same colours, other things. Broken: no likeness at all, or the same neighbours for every query.",
            _neighbours(evaluation, gallery),
        ),
        *([_baseline_picture(evaluation)] if labelled else ()),
        Picture(
            "comparison",
            "The same queries, asked with other vectors",
            "For each test image at the left, its five nearest gallery images by each kind of vector. "
            + (
                "Thick frame: same class. Good: the last block has no fewer of them than those before it. Poor: fewer."
                if labelled
                else "Good: the last block is more alike than those before it. Poor: no difference."
            ),
            _comparison(evaluation),
        ),
        *([_slider_picture(evaluation)] if labelled and evaluation.slider else ()),
        *(_score_pictures(evaluation) if labelled else ()),
        *_reconstruction_pictures(evaluation),
        *([_error_picture(evaluation)] if labelled else ()),
        *code_pictures(evaluation),
        *_duplicate_pictures(evaluation),
        *(
            Picture(
                f"training_{name}",
                f"Training: {charts.CURVE_TITLES[measure]}",
                _CURVE_TEXTS.get(name if labelled or name != "retrieval" else "copies", _CURVE_TEXT),
                charts.curves(evaluation.shown_history, measure),
            )
            for name, measure in charts.curves_of(evaluation.shown_history).items()
        ),
    ]


def _baseline_picture(evaluation: Evaluation) -> Picture:
    scores = (evaluation.own_score, *map(evaluation.rival_score, evaluation.baseline_names))
    values = {f"{score.method} ({score.metric})": score.overall["P@10"].value for score in scores}
    return Picture(
        "baselines",
        "Against the baselines",
        "Share of the ten nearest gallery images that are of the query's class (P@10), each kind of vector under its "
        "best metric. Good: the first bar is the longest. Poor: a colour histogram or a PCA, which take no training, "
        "are near.",
        charts.bars(values, "P@10", ("chance", float(evaluation.chance.mean())), strong=next(iter(values))),
    )


def _slider_picture(evaluation: Evaluation) -> Picture:
    return Picture(
        "kind_and_look",
        "Kind and look",
        "Neighbours by the kind code alone (look 0), by the look code alone (1), and by both: how often they are of "
        "the query's class, and how different they look from it. Good: the curve goes left before it falls.",
        charts.slider([(point.look, point.visual_difference, point.precision or 0.0) for point in evaluation.slider]),
    )


def _score_pictures(evaluation: Evaluation) -> list[Picture]:
    own = evaluation.own_score
    curve_of = {
        f"{score.method} ({score.metric})": score.precision_curve
        for score in (own, *map(evaluation.rival_score, evaluation.baseline_names))
    }
    table = pd.DataFrame({printable(name): {m: v.value for m, v in ms.items()} for name, ms in own.by_class.items()}).T
    if len(table) > _MAX_CLASS_ROWS:
        table = table.nsmallest(_MAX_CLASS_ROWS, "P@10")
    return [
        Picture(
            "precision_curve",
            "Precision against depth",
            "Good: far above chance and the baselines, falling slowly. Poor: on the baselines. Broken: flat at chance.",
            charts.precision_curves(curve_of, float(evaluation.chance.mean())),
        ),
        Picture(
            "retrieval_by_class",
            f"Retrieval by class ({own.metric})",
            "Good: no row near chance. A weak class is mostly answered with images of another."
            + _of_many(len(table), len(own.by_class), "those of the lowest P@10"),
            charts.class_table(table, "share"),
        ),
    ]


def _error_picture(evaluation: Evaluation) -> Picture:
    errors = {printable(name): error for name, error in evaluation.error_by_class.items()}
    drawn = errors
    if len(errors) > _MAX_CLASS_ROWS:
        drawn = {name: errors[name] for name in sorted(errors, key=errors.__getitem__)[-_MAX_CLASS_ROWS:]}
    rival = ("PCA, all classes", evaluation.linear_rival.mse)
    if evaluation.is_for_similarity and not evaluation.kind_dim:  # as in the check of reconstructions
        rival = ("mean image, all classes", evaluation.linear.mean_mse)
    return Picture(
        "error_by_class",
        "Reconstruction error by class",
        "Good: bars of similar length. A class far longer than the others has images that few numbers describe "
        "badly (fine detail, strong contrast)." + _of_many(len(drawn), len(errors), "those of the largest error"),
        charts.bars(drawn, "mean squared error", rival),
    )


def _of_many(count: int, total: int, which: str) -> str:
    return f" Here: {count} of {total} classes, {which}." if count < total else ""


def _comparison(evaluation: Evaluation) -> Figure:
    dataset = evaluation.dataset
    return image_grids.neighbour_blocks(
        dataset.images[evaluation.compared],
        {method: dataset.images[ids] for method, ids in evaluation.neighbours.items()},
        {method: dataset.same_class(evaluation.compared, ids) for method, ids in evaluation.neighbours.items()},
        [printable(name) for name in dataset.class_of(evaluation.compared)],
    )


def _reconstruction_pictures(evaluation: Evaluation) -> list[Picture]:
    texts = {
        "first": "Good: blurred, but layout, pose and colour are right. Poor: right colours only. "
        "Broken: the same image every time.",
        "best": "Easy images: few edges, or shapes that are frequent in this dataset.",
        "worst": "Hard images: fine detail, strong contrast, or shapes that are rare in this dataset.",
    }
    pictures = []
    for title, (ids, reconstructions) in evaluation.examples.items():
        captions = [f"{error:.4f}" for error in evaluation.errors[np.searchsorted(evaluation.test_ids, ids)]]
        images = {"original": evaluation.dataset.images[ids], "reconstruction": reconstructions}
        heading = {"first": "The first 10 test images", "best": "The best 10", "worst": "The worst 10"}[title]
        figure = image_grids.image_rows(images, captions)
        pictures.append(
            Picture(f"reconstructions_{title}", f"{heading}, with their squared error", texts[title], figure)
        )
    copies = image_grids.image_rows(evaluation.copies)
    text = "The corruptions of the copy checks: each copy should find its original among all gallery images."
    return [*pictures, Picture("copies", "Corrupted copies", text, copies)]


def _duplicate_pictures(evaluation: Evaluation) -> list[Picture]:
    found, dataset = evaluation.duplicates, evaluation.dataset
    if not len(found.pairs):
        return []
    # Most alike first, as `found` has them, one of each group: a series of shots would fill the picture. Pairs that
    # are not between test and gallery stand in only where few are.
    across = found.places(dataset) == "across"
    rows = np.argsort(~across, kind="stable")
    rows = rows[np.sort(np.unique(found.groups[found.pairs[rows, 0]], return_index=True)[1])]
    rows = rows[: max(int(across[rows].sum()), 2 * _NUM_PAIRS)]
    chosen = np.concatenate([rows[:_NUM_PAIRS], rows[_NUM_PAIRS:][-_NUM_PAIRS:]])
    captions = [
        f"{found.likeness[row]:.2f}{' mirrored' if found.mirrored[row] else ''}\n"
        + ", ".join(f"{SPLITS[dataset.split[image]]} {image}" for image in found.pairs[row])
        for row in chosen
    ]
    return [
        Picture(
            "duplicates",
            "Duplicates: the most alike, then the least",
            "Pairs that were taken for the same shot, one of each group, those between test and gallery first, with "
            "their likeness and ids. The last ones tell whether the threshold is right. Good: the same shot to the "
            "last pair. Poor: the last ones are two shots of one scene. Broken: different things.",
            image_grids.image_pairs(dataset.images[found.pairs[chosen]], captions),
        )
    ]


def _neighbours(evaluation: Evaluation, gallery: Gallery) -> Figure:
    dataset = evaluation.dataset
    queries = evaluation.test_ids
    if evaluation.is_labelled:
        queries = queries[np.unique(evaluation.labels, return_index=True)[1]]  # in the order of the labels
    queries = queries[:_MAX_QUERIES]
    searched = gallery.only(dataset.gallery_ids())
    found = searched.ask(gallery.codes[queries], min(10, len(searched.ids)), metric=evaluation.metric)
    return image_grids.neighbour_rows(
        dataset.images[queries],
        [printable(name) for name in dataset.class_of(queries)],
        dataset.images[found.ids],
        [[printable(name) for name in names] for names in dataset.class_of(found.ids)],
        dataset.same_class(queries, found.ids),
    )
