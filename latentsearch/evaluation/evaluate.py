"""The evaluation of a trained run: all measurements, once, with those of baselines and other runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from latentsearch.config import METRICS, Metric
from latentsearch.data import ImageSet, corruptions, to_float
from latentsearch.errors import InputError
from latentsearch.evaluation import baselines, kind_and_look
from latentsearch.evaluation.evaluation import Evaluation
from latentsearch.evaluation.scorecard import Labelled, best_of, score
from latentsearch.gallery import duplicates, two_codes
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.index import Index
from latentsearch.gallery.trained_run import TrainedRun
from latentsearch.metrics import Interval, bootstrap_means, recall_at_k, squared_error, strongest_channel_accuracy
from latentsearch.models.encoder import Autoencoder
from latentsearch.plots.projection import project
from latentsearch.training.history import read_history

COPY_DEPTHS = (1, 10)
_NUM_COPIES = 1000
_NUM_TRAIN = 5000
_NUM_PROJECTED = 5000
_NUM_EXAMPLES = 10
_NUM_COMPARED, _COMPARED_DEPTH = 20, 5


def gather(
    trained: TrainedRun,
    others: Sequence[TrainedRun] = (),
    *,
    seed: int,
    say: Callable[[str], None] = lambda line: None,
) -> Evaluation:
    """Measure a trained run.

    Args:
        trained: The run.
        others: Runs to compare it with.
        seed: Seed of samples, corruptions, bootstrap and projection.
        say: Function that is called with a line on each step.

    Raises:
        InputError: if another run is of another dataset.
    """
    for other in others:
        if other.dataset.fingerprint != trained.dataset.fingerprint or other.run.name == trained.run.name:
            raise InputError(
                f"--compare {other.run.name}: expected another run of the dataset '{trained.dataset.name}', this one "
                f"is of '{other.dataset.name}'."
            )
    name, dataset = trained.run.name, trained.dataset
    autoencoder, gallery = trained.autoencoder, trained.gallery
    test_ids, gallery_ids = dataset.ids("test"), dataset.gallery_ids()
    rng = np.random.default_rng(seed)

    history = read_history(trained.run)
    say("reconstructing the test images")
    errors, accuracy = _reconstruction(dataset, autoencoder, gallery, test_ids)
    train_ids = np.sort(rng.permutation(dataset.ids("train"))[:_NUM_TRAIN])
    train_errors, _ = _reconstruction(dataset, autoencoder, gallery, train_ids)
    order = np.argsort(errors, kind="stable")
    chosen = {
        "first": np.arange(len(test_ids))[:_NUM_EXAMPLES],
        "best": order[:_NUM_EXAMPLES],
        "worst": order[::-1][:_NUM_EXAMPLES],
    }
    examples = {
        title: (test_ids[rows], autoencoder.decode(gallery.codes[test_ids[rows]]).clip(0, 1))
        for title, rows in chosen.items()
    }

    say("searching with codes and with the baselines")
    compared = gallery.weighted(autoencoder.kind_dim, two_codes.DEFAULT_LOOK)
    vectors, linear = baselines.compute(dataset, gallery_ids, test_ids, autoencoder.latent_dim)
    linear_rival = linear
    if autoencoder.kind_dim:  # the rivals of each code alone; the look code has as many numbers as the kind code
        alone, linear_rival = baselines.pca_codes(dataset, gallery_ids, test_ids, autoencoder.kind_dim)
        vectors |= alone
    for other in others:
        weighted = other.gallery.weighted(other.autoencoder.kind_dim, two_codes.DEFAULT_LOOK)
        vectors[other.run.name] = _vectors(weighted, gallery_ids, test_ids)
    own = _vectors(compared, gallery_ids, test_ids)
    gallery_labels, test_labels = dataset.labels[gallery_ids], dataset.labels[test_ids]
    scores = [
        score(
            method,
            Labelled(pair.gallery, gallery_labels),
            Labelled(pair.queries, test_labels),
            dataset.class_names,
            metric=metric,
            seed=seed,
        )
        for method, pair in ({name: own} | vectors).items()
        for metric in pair.metrics
        if dataset.is_labelled
    ]

    parts = [
        score(
            title,
            Labelled(codes[gallery_ids], gallery_labels),
            Labelled(codes[test_ids], test_labels),
            dataset.class_names,
            metric="cosine",
            seed=seed,
        )
        for title, codes in kind_and_look.parts(gallery.codes, autoencoder.kind_dim)
        if dataset.is_labelled
    ]
    slider = kind_and_look.measure_slider(dataset, gallery.codes, autoencoder.kind_dim, gallery_ids, test_ids)

    say("looking for the originals of corrupted copies")
    copied = np.sort(rng.permutation(gallery_ids)[:_NUM_COPIES])
    copies = {"original": dataset.images[copied]} | {
        title: corrupt(dataset.images[copied], seed) for title, corrupt in corruptions.CORRUPTIONS.items()
    }
    searched = compared.only(gallery_ids)
    copy_recall = {
        title: _copy_recall(
            two_codes.weighted(autoencoder.encode(images), autoencoder.kind_dim, two_codes.DEFAULT_LOOK),
            copied,
            searched,
            seed,
        )
        for title, images in copies.items()
        if title != "original"
    }

    metric = _best_metric(dataset, compared, seed) if dataset.is_labelled else _best_for_copies(copy_recall)
    first = np.argsort(_place_in_class(test_labels), kind="stable")[:_NUM_COMPARED]
    neighbours = {
        method: gallery_ids[
            Index(
                pair.gallery,
                metric=best_of(scores, method).metric if scores and method != name else metric,
            ).rank(pair.queries[first], min(_COMPARED_DEPTH, len(gallery_ids)))
        ]
        for method, pair in (vectors | {name: own}).items()
    }

    say("looking for duplicates")
    found = duplicates.find(dataset.images, compared.codes, metric=metric)
    leakless = np.flatnonzero(~found.with_duplicate_among(gallery_ids)[test_ids])
    leakless_score = None
    if dataset.is_labelled and len(leakless):
        leakless_score = score(
            name,
            Labelled(own.gallery, gallery_labels),
            Labelled(own.queries[leakless], test_labels[leakless]),
            dataset.class_names,
            metric=metric,
            seed=seed,
        )

    say("projecting the test codes by t-SNE")
    projected = np.sort(rng.permutation(len(test_ids))[:_NUM_PROJECTED])
    return Evaluation(
        name=name,
        encoder=autoencoder.fingerprint,
        seed=seed,
        dataset=dataset,
        history=history,
        test_ids=test_ids,
        codes=gallery.codes[test_ids],
        errors=errors,
        accuracy=accuracy,
        train_mse=float(train_errors.mean()),
        linear=linear,
        linear_rival=linear_rival,
        chance=baselines.chance(gallery_labels, test_labels) if dataset.is_labelled else np.empty(0),
        metric=metric,
        scores=scores,
        parts=parts,
        slider=slider,
        kind_dim=autoencoder.kind_dim,
        compared=test_ids[first],
        neighbours=neighbours,
        copy_recall=copy_recall,
        copies={title: images[:_NUM_EXAMPLES] for title, images in copies.items()},
        examples=examples,
        points=project(gallery.codes[test_ids[projected]], seed=seed),
        projected=projected,
        duplicates=found,
        leakless_score=leakless_score,
    )


def _vectors(gallery: Gallery, gallery_ids: np.ndarray, test_ids: np.ndarray) -> baselines.Vectors:
    return baselines.Vectors(gallery.codes[gallery_ids], gallery.codes[test_ids], METRICS)


def _place_in_class(labels: np.ndarray) -> np.ndarray:
    """Count for each image those before it with the same label: 0 for the first of each class, 1 for the second, ..."""
    return np.array([np.sum(labels[:row] == label) for row, label in enumerate(labels)])


def _best_metric(dataset: ImageSet, gallery: Gallery, seed: int) -> Metric:
    """Choose the metric with the highest P@10 of validation images among training images, without test images.

    Cosine where no image is held out.
    """
    if not len(dataset.ids("validation")):
        return "cosine"
    searched, asked = (
        Labelled(gallery.codes[ids], dataset.labels[ids]) for ids in (dataset.ids("train"), dataset.ids("validation"))
    )
    scores = [score("", searched, asked, dataset.class_names, metric=metric, seed=seed) for metric in METRICS]
    return max(scores, key=lambda result: result.overall["P@10"].value).metric


def _best_for_copies(copy_recall: dict[str, dict[Metric, dict[int, Interval]]]) -> Metric:
    """Choose the metric with the highest mean recall@10 over the corruptions, where there are no labels."""
    candidates: tuple[Metric, ...] = ("cosine", "euclidean")
    return max(
        candidates,
        key=lambda metric: sum(by_metric[metric][max(COPY_DEPTHS)].value for by_metric in copy_recall.values()),
    )


def _reconstruction(
    dataset: ImageSet, autoencoder: Autoencoder, gallery: Gallery, ids: np.ndarray
) -> tuple[np.ndarray, float]:
    """Measure the squared error of each image, `(len(ids),)`, and the accuracy of the strongest channel."""
    errors, hits = np.empty(len(ids)), 0.0
    for start in range(0, len(ids), 1000):
        rows = ids[start : start + 1000]
        images, reconstructions = to_float(dataset.images[rows]), autoencoder.decode(gallery.codes[rows])
        errors[start : start + 1000] = squared_error(images, reconstructions)
        hits += strongest_channel_accuracy(images, reconstructions) * len(rows)
    return errors, hits / len(ids)


def _copy_recall(
    codes: np.ndarray, originals: np.ndarray, gallery: Gallery, seed: int
) -> dict[Metric, dict[int, Interval]]:
    """Measure recall@k under each metric; `originals` are the ids that the `codes` of copies should find."""
    depth = min(max(COPY_DEPTHS), len(gallery.ids))
    result: dict[Metric, dict[int, Interval]] = {}
    for metric in METRICS:
        found = gallery.ask(codes, depth, metric=metric).ids
        hits = np.column_stack([recall_at_k(found, originals, min(k, depth)) for k in COPY_DEPTHS])
        result[metric] = dict(zip(COPY_DEPTHS, bootstrap_means(hits, seed=seed), strict=True))
    return result
