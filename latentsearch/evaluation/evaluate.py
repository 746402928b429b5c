"""The evaluation of a trained run: all measurements, once, with those of baselines and other runs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from latentsearch.config import METRICS, Metric
from latentsearch.data import ImageSet, corruptions, drawn, read_rows, to_float
from latentsearch.data.memory import give_back
from latentsearch.errors import InputError
from latentsearch.evaluation import baselines, kind_and_look
from latentsearch.evaluation.background import Background
from latentsearch.evaluation.comparison import Comparison
from latentsearch.evaluation.evaluation import Evaluation
from latentsearch.evaluation.scorecard import Score
from latentsearch.gallery import duplicates, two_codes
from latentsearch.gallery.duplicates import Duplicates
from latentsearch.gallery.gallery import Gallery
from latentsearch.gallery.trained_run import TrainedRun
from latentsearch.metrics import Interval, bootstrap_means, recall_at_k, squared_error, strongest_channel_accuracy
from latentsearch.models.encoder import Autoencoder
from latentsearch.plots.projection import project
from latentsearch.training.history import read_history

COPY_DEPTHS = (1, 10)
_MAX_QUERIES = 10_000  # test images
_MAX_GALLERY = 200_000  # images that are searched
_NUM_COPIES = 1000
_NUM_TRAIN = 5000
_NUM_PROJECTED = 2500
_NUM_EXAMPLES = 10
_NUM_COMPARED, _COMPARED_DEPTH = 20, 5


def evaluate(
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
    test_ids = _sampled(dataset.ids("test"), _MAX_QUERIES, "test", say)
    gallery_ids = _sampled(dataset.gallery_ids(), _MAX_GALLERY, "gallery", say)
    rng = np.random.default_rng(seed)
    train_ids = np.sort(rng.permutation(dataset.ids("train"))[:_NUM_TRAIN])
    copied = np.sort(rng.permutation(gallery_ids)[:_NUM_COPIES])
    projected = np.sort(rng.permutation(len(test_ids))[:_NUM_PROJECTED])
    say("projecting the test codes by t-SNE, in the background")
    points = Background(functools.partial(project, gallery.codes[test_ids[projected]], seed=seed))

    history = read_history(trained.run)
    say("reconstructing the test images")
    errors, accuracy = _reconstruction(dataset, autoencoder, gallery, test_ids)
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
    vectors, linear = baselines.compute(dataset, gallery_ids, test_ids, autoencoder.latent_dim, autoencoder.kind_dim)
    for other in others:
        weighted = other.gallery.weighted(other.autoencoder.kind_dim, two_codes.DEFAULT_LOOK)
        vectors[other.run.name] = _vectors(weighted.codes, gallery_ids, test_ids)
    own = _vectors(compared.codes, gallery_ids, test_ids)
    searches = Comparison(dataset, gallery_ids, test_ids, seed)
    scores: list[Score] = []
    found_by: dict[Metric, np.ndarray] = {}  # rows of the gallery, by the codes under each metric
    if dataset.is_labelled:
        found_by = {metric: own.rank(searches.depth, metric).astype(np.int32) for metric in METRICS}
        scores = [searches.score(name, rows, metric) for metric, rows in found_by.items()]
        scores += [searches.rival(method, pair) for method, pair in vectors.items()]
    parts, slider = _each_code(searches, gallery.codes, autoencoder.kind_dim, found_by.get("cosine"))

    say("looking for the originals of corrupted copies")
    originals = read_rows(dataset.images, copied)
    copies = {"original": originals} | {
        title: corrupt(originals, seed) for title, corrupt in corruptions.CORRUPTIONS.items()
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

    metric = searches.best_metric(own) if dataset.is_labelled else _best_for_copies(copy_recall)
    first = np.argsort(_place_in_class(dataset.labels[test_ids]), kind="stable")[:_NUM_COMPARED]
    metric_of = {score.method: score.metric for score in scores} | {name: metric}
    neighbours = {
        method: gallery_ids[
            pair.rank(min(_COMPARED_DEPTH, len(gallery_ids)), metric_of.get(method, metric), pair.queries[first])
        ]
        for method, pair in (vectors | {name: own}).items()
    }

    by_metric = found_by.get(metric)
    del vectors, found_by  # pixels among them, which take more memory than all else
    found = _duplicates(dataset, compared.codes, say)
    leaked = found.with_duplicate_among(dataset.gallery_ids())[test_ids]

    return Evaluation(
        name=name,
        encoder=autoencoder.fingerprint,
        seed=seed,
        dataset=dataset,
        history=history,
        gallery_ids=gallery_ids,
        test_ids=test_ids,
        codes=gallery.codes[test_ids],
        errors=errors,
        accuracy=accuracy,
        train_mse=float(train_errors.mean()),
        linear=linear[0],
        linear_rival=linear[-1],  # of two codes that of each alone: both have as many numbers
        chance=baselines.chance(dataset.labels[gallery_ids], dataset.labels[test_ids])
        if dataset.is_labelled
        else np.empty(0),
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
        points=points.result(),
        projected=projected,
        duplicates=found,
        leakless_score=None if by_metric is None else _without(leaked, searches, name, by_metric, metric),
    )


def _duplicates(dataset: ImageSet, codes: np.ndarray, say: Callable[[str], None]) -> Duplicates:
    """Look for duplicates among all images by their codes, and tell what the search may have missed."""
    give_back()
    say("looking for duplicates")
    found = duplicates.find(dataset.images, codes, metric="cosine")
    if found.recall < 1:
        say(f"duplicates are proposed approximately: {found.recall:.1%} of the nearest were found")
    return found


def _sampled(ids: np.ndarray, most: int, what: str, say: Callable[[str], None]) -> np.ndarray:
    """Draw at most so many ids, always the same ones, ascending; all of them where there are no more."""
    if len(ids) <= most:
        return ids
    say(f"of {len(ids):,} {what} images a sample of {most:,} is measured")
    return np.sort(drawn(ids, most))


def _each_code(
    searches: Comparison, codes: np.ndarray, kind_dim: int | None, by_both: np.ndarray | None
) -> tuple[list[Score], list[kind_and_look.SliderPoint]]:
    """Score each of two codes alone, with labels, and measure all shares of the look code.

    Args:
        searches: Gallery and queries.
        codes: Codes of all images, `(num_images, latent_dim)`.
        kind_dim: Numbers of the kind code, None for a single code.
        by_both: Rows of the nearest of the gallery by both codes at the default share; None where not yet known.
    """
    dataset, ids = searches.dataset, (searches.gallery_ids, searches.query_ids)
    known = {} if by_both is None else {two_codes.DEFAULT_LOOK: by_both}
    scores = []
    for look, (title, alone) in zip((0.0, 1.0), kind_and_look.parts(codes, kind_dim)):
        if dataset.is_labelled:
            known[look] = _vectors(alone, *ids).rank(searches.depth, "cosine")
            scores.append(searches.score(title, known[look], "cosine"))
    return scores, kind_and_look.measure_slider(dataset, codes, kind_dim, *ids, known=known)


def _without(leaked: np.ndarray, searches: Comparison, method: str, rows: np.ndarray, metric: Metric) -> Score | None:
    """Score what a method finds for the queries that are not `leaked`, bool `(num_queries,)`; None without any."""
    kept = np.flatnonzero(~leaked)
    return searches.score(method, rows[kept], metric, kept) if len(kept) else None


def _vectors(codes: np.ndarray, gallery_ids: np.ndarray, test_ids: np.ndarray) -> baselines.Vectors:
    return baselines.Vectors(codes[gallery_ids], codes[test_ids], METRICS)


def _place_in_class(labels: np.ndarray) -> np.ndarray:
    """Count for each image those before it with the same label: 0 for the first of each class, 1 for the second, ..."""
    return np.array([np.sum(labels[:row] == label) for row, label in enumerate(labels)])


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
        images, reconstructions = to_float(read_rows(dataset.images, rows)), autoencoder.decode(gallery.codes[rows])
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
