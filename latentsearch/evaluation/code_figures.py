"""The figures of a report about the codes: their numbers, and the maps that they make."""

from __future__ import annotations

import numpy as np

from latentsearch.evaluation.evaluation import Evaluation
from latentsearch.evaluation.picture import Picture
from latentsearch.metrics import correlations
from latentsearch.plots import code_charts, image_grids, number_charts
from latentsearch.text import printable

_NUM_PAIR_PLOT_IMAGES = 1000
_MAX_PAIRED_DIMENSIONS = 12  # beyond, panels are too many to be drawn or seen
_MAX_NUMBERS = 32  # whose ends are drawn
_MAX_COLOURS = 20  # more classes cannot be told apart by them


def code_pictures(evaluation: Evaluation) -> list[Picture]:
    """Draw what the numbers of the code show, and where they place the test images."""
    classes = np.array([printable(name) for name in evaluation.class_of_image])
    names = tuple(map(printable, evaluation.dataset.class_names))
    if len(names) > _MAX_COLOURS:
        names = ()
    paired = min(evaluation.kind_dim or _MAX_PAIRED_DIMENSIONS, _MAX_PAIRED_DIMENSIONS)
    sample = np.linspace(0, len(classes) - 1, min(_NUM_PAIR_PLOT_IMAGES, len(classes))).astype(int)
    projected = evaluation.test_ids[evaluation.projected]
    return [
        Picture(
            "number_ends",
            "What the numbers mean",
            "The test images at both ends of each number, and the distribution of the number between them. Good: what "
            "is at one end is of one kind, or looks alike. Poor: nothing in common." + _purity(evaluation),
            number_charts.number_ends(
                evaluation.codes[:, :_MAX_NUMBERS],
                evaluation.number_names[:_MAX_NUMBERS],
                [
                    (evaluation.dataset.images[low.ids], evaluation.dataset.images[high.ids])
                    for low, high in evaluation.number_ends[:_MAX_NUMBERS]
                ],
                [
                    (low.of_class.in_words, high.of_class.in_words)
                    for low, high in evaluation.number_ends[:_MAX_NUMBERS]
                ],
            ),
        ),
        Picture(
            "pair_plot",
            "Latent dimensions in pairs",
            f"Good: round clouds{', classes in different places' if names else ''}. Poor: narrow bands (two dimensions "
            "say the same). Broken: lines or single points (dead or copied dimensions). Beside the axes: the images at "
            "their ends.",
            code_charts.pair_plot(
                evaluation.codes[sample, :paired],
                classes[sample],
                names,
                evaluation.number_names[:paired],
                _outermost(evaluation)[:paired],
            ),
        ),
        Picture(
            "code_distributions",
            "Distribution of each latent dimension",
            "Good: broad, and shifted between classes. Poor: the same for every class. Broken: one spike."
            if names
            else "Good: broad. Broken: one spike.",
            code_charts.code_distributions(evaluation.codes, classes, names, evaluation.number_names),
        ),
        Picture(
            "correlations",
            "Correlation of the latent dimensions",
            "Good: pale off the diagonal. Broken: a cell at 1 or -1 off the diagonal: two copies of one dimension.",
            code_charts.correlation_map(correlations(evaluation.codes), evaluation.number_names),
        ),
        Picture(
            "class_map",
            "Map of the test codes by class (t-SNE)",
            "Good: islands or regions of one colour. Poor: gradual mixtures. Broken: all colours everywhere.",
            code_charts.class_map(evaluation.points, classes[evaluation.projected], names),
        )
        if names
        else Picture(
            "code_map",
            "Map of the test codes (t-SNE)",
            "Good: islands or regions. Poor: one cloud without structure. Broken: a line or a point.",
            code_charts.class_map(evaluation.points, classes[evaluation.projected], names),
        ),
        Picture(
            "thumbnail_map",
            "Map of the test codes by image (t-SNE)",
            "What do neighbours share? Kinds of things: good. Only background colour and brightness: poor.",
            image_grids.thumbnail_map(evaluation.points, evaluation.dataset.images[projected]),
        ),
    ]


def _outermost(evaluation: Evaluation) -> np.ndarray:
    """The outermost image at the low and the high end of each number, uint8 `(latent_dim, 2, height, width, 3)`."""
    ids = np.array([[low.ids[0], high.ids[0]] for low, high in evaluation.number_ends])
    images: np.ndarray = evaluation.dataset.images[ids]
    return images


def _purity(evaluation: Evaluation) -> str:
    """How pure the ends are; "" without labels."""
    if not evaluation.is_labelled:
        return ""
    named = {
        f"{name}, {side} end": end.of_class
        for name, ends in zip(evaluation.number_names, evaluation.number_ends, strict=True)
        for side, end in zip(("low", "high"), ends, strict=True)
        if end.of_class.name
    }
    total = 2 * len(evaluation.number_ends)
    words = f" At {len(named)} of {total} ends more than half of the outermost hundredth are of one class"
    if not named:
        return words + "."
    purest = max(named, key=lambda end: named[end].share)
    return f"{words}; the purest: {purest}, {named[purest].in_words}."
