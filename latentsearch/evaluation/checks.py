"""The sanity checks: each turns a measurement into PASS, WARN or FAIL, with its meaning."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from latentsearch.evaluation.baselines import compared_shape
from latentsearch.evaluation.check_result import CheckResult
from latentsearch.evaluation.evaluation import Evaluation
from latentsearch.evaluation.remedies import remedy
from latentsearch.metrics import correlations, effective_rank, num_distinct

_COLLAPSED = 0.1  # distinct codes an image
_FEW = 10  # images; below, shares and correlations are those of a handful
_NEED_IMAGES = ("dead dimensions", "correlated dimensions", "effective rank", "generalisation")
_NEED_CODES = (
    "correlated dimensions", "effective rank", "retrieval against chance", "retrieval against PCA",
    "retrieval against pixels", "weakest class", "copies with noise", "copies with projection",
)  # fmt: skip


def run_checks(evaluation: Evaluation) -> list[CheckResult]:
    """Run all checks, in the order of `CHECKS`; without labels, those that need none.

    Where codes do not differ, checks that need more than that are n/a, and so are those that need more images.
    """
    results = [check(evaluation) for check in CHECKS if evaluation.is_labelled or check not in NEED_LABELS]
    of_name = {result.name: result for result in results}
    reasons: dict[str, str] = {}
    if (count := len(evaluation.codes)) < _FEW:
        few = f"Too few images: it needs {_FEW} test images, and there are {count}. Prepare more images."
        reasons |= dict.fromkeys(_NEED_IMAGES, few)
    reasons |= dict.fromkeys(("copies with noise", "copies with projection"), evaluation.too_few_for_copies)
    if of_name["distinct codes"].value <= _COLLAPSED:
        reasons |= dict.fromkeys(_NEED_CODES, "The codes have collapsed (see distinct codes): nothing can be measured.")
    traits = {"for_similarity": evaluation.is_for_similarity, "has_denoiser": bool(evaluation.kind_dim)}
    return [
        dataclasses.replace(one, not_applicable=reasons.get(one.name, ""), remedy=remedy(one.name, **traits))
        for one in results
    ]


def reconstruction(evaluation: Evaluation) -> CheckResult:
    if evaluation.is_for_similarity and not evaluation.kind_dim:
        return CheckResult(
            name="reconstruction",
            question="Does it reconstruct better than the mean image?",
            value=float(evaluation.errors.mean() / max(evaluation.linear.mean_mse, 1e-12)),
            pass_at=0.9,
            warn_at=1.0,
            higher_is_better=False,
            why="Test MSE over that of the mean image. A single code that is trained for similarity leaves out what "
            "images of one kind do not share, such as colour and place, so it is not compared with a PCA.",
            good="Reconstructions show what is in an image.",
            poor="Reconstructions hardly show what is in an image.",
            broken="One grey or average image for all. Check the learning rate and the curves.",
        )
    return CheckResult(
        name="reconstruction",
        question="Does it reconstruct better than a PCA with as many numbers?",
        value=float(evaluation.errors.mean() / max(evaluation.linear_rival.mse, 1e-12)),
        pass_at=0.98,
        warn_at=1.0,
        higher_is_better=False,
        why="Test MSE over that of the PCA. A network that is for reconstruction should beat a linear map. Of two "
        "codes the numbers of the look code count: the kind code does not learn from the error.",
        good="Clearly lower error than the best linear code: shapes and colours are kept where they are.",
        poor="Hardly better than linear: train longer.",
        broken="Worse than linear. Check the learning rate and the curves.",
    )


def generalisation(evaluation: Evaluation) -> CheckResult:
    return CheckResult(
        name="generalisation",
        question="Does it reconstruct new images as well as those it learnt from?",
        value=float(evaluation.errors.mean() / max(evaluation.train_mse, 1e-12)),
        pass_at=1.1,
        warn_at=1.25,
        higher_is_better=False,
        why="Test MSE over training MSE, with the best weights. A gallery grows by images that were not trained on.",
        good="New images are encoded as well as old ones.",
        poor="It begins to learn images by heart: more images, mirroring (--flip) or fewer epochs help.",
        broken="It learnt its images by heart; codes of new ones mean little.",
    )


def dead_dimensions(evaluation: Evaluation) -> CheckResult:
    deviations = evaluation.codes.std(axis=0)
    dead = np.flatnonzero(deviations <= 0.01 * deviations.max())
    return CheckResult(
        name="dead dimensions",
        question="How many of the code's numbers are the same for every image?",
        value=len(dead),
        pass_at=0,
        warn_at=1,
        higher_is_better=False,
        why="Dimensions whose standard deviation is under 1 % of the largest; they say nothing about an image.",
        here=", ".join(evaluation.number_names[number] for number in dead) or "none",
        good="Every dimension varies.",
        poor="One number is wasted: its panels in the pair plot are lines.",
        broken="Several numbers are wasted: the code is smaller than it looks. Train again with another seed.",
    )


def correlated_dimensions(evaluation: Evaluation) -> CheckResult:
    matrix = np.abs(np.tril(correlations(evaluation.codes), k=-1))
    pair = np.unravel_index(matrix.argmax(), matrix.shape)
    return CheckResult(
        name="correlated dimensions",
        question="Do two of the code's numbers say the same?",
        value=float(matrix[pair]),
        pass_at=0.8,
        warn_at=0.95,
        higher_is_better=False,
        why="Largest absolute correlation of two dimensions; what is said twice weighs twice in a distance.",
        here=" and ".join(evaluation.number_names[number] for number in pair[::-1]),
        good="The dimensions tell different things: round clouds in the pair plot.",
        poor="Two dimensions tell nearly the same: a narrow band in the pair plot.",
        broken="Two dimensions are copies: a line in the pair plot. Train again with another seed.",
    )


def rank(evaluation: Evaluation) -> CheckResult:
    return CheckResult(
        name="effective rank",
        question="What share of its dimensions does the code really use?",
        value=effective_rank(evaluation.codes) / evaluation.codes.shape[1],
        pass_at=0.6,
        warn_at=0.3,
        higher_is_better=True,
        why="exp(entropy of the shares of variance of the principal axes) over the size of the code.",
        good="The variance is spread over most directions.",
        poor="A few directions hold most of the variance and decide every distance.",
        broken="The codes lie on a line or a sheet: neighbours agree in one property (mostly brightness) only.",
    )


def distinct_codes(evaluation: Evaluation) -> CheckResult:
    num_images = len(np.unique(evaluation.duplicates.first_copy[evaluation.test_ids]))
    return CheckResult(
        name="distinct codes",
        question="Do different images get different codes?",
        value=num_distinct(evaluation.codes) / num_images,
        pass_at=0.99,
        warn_at=0.9,
        higher_is_better=True,
        why="Distinct codes (to 1/100,000 of the largest number in them) over distinct test images; one code, "
        "where they differ by less than 1/1,000 of it. Equal codes cannot be ranked.",
        good="Every image has its own code.",
        poor="Some images share one code.",
        broken="The encoder has collapsed: many images, one code.",
    )


def beats_chance(evaluation: Evaluation) -> CheckResult:
    own = evaluation.own_score
    return CheckResult(
        name="retrieval against chance",
        question="Are the ten nearest images of the query's class more often than random ones?",
        value=own.overall["P@10"].low / max(float(evaluation.chance.mean()), 1e-9),
        pass_at=2.0,
        warn_at=1.2,
        higher_is_better=True,
        why=f"Lower end of the 95 % interval of P@10 ({own.metric}) over chance.",
        good="Neighbours show the same kind of thing at least twice as often as chance.",
        poor="Neighbours are a little better than a random draw.",
        broken="Neighbours are a random draw: the codes say nothing about what is in an image.",
    )


def beats_linear(evaluation: Evaluation) -> CheckResult:
    linear = [name for name in evaluation.baseline_names if name.endswith("-d PCA")]
    value, rival = _best_rival(evaluation, linear)
    return CheckResult(
        name="retrieval against PCA",
        question="Does it retrieve better than a linear code of the same size?",
        value=(1 - evaluation.own_score.overall["P@10"].value) / max(1 - value, 1e-9),
        pass_at=0.98,
        warn_at=1.02,
        higher_is_better=False,
        why=f"Share of wrong neighbours among ten over that of {rival}: a good code leaves a linear one few errors to "
        "mend, so errors are compared.",
        good="The codes find the same kind of thing more often than a PCA of as many numbers does.",
        poor="As good as a PCA: the codes follow colour and brightness.",
        broken="A PCA retrieves better, and takes no training: train longer, or with another objective.",
    )


def beats_pixels(evaluation: Evaluation) -> CheckResult:
    value, rival = _best_rival(
        evaluation, [name for name in evaluation.baseline_names if name.startswith("raw pixels")]
    )
    ratio = evaluation.own_score.overall["P@10"].value / max(value, 1e-9)
    size = np.prod(compared_shape(evaluation.dataset.image_shape)) / evaluation.codes.shape[1]
    return CheckResult(
        name="retrieval against pixels",
        question="Does it retrieve as well as all pixels do?",
        value=ratio,
        pass_at=1.0,
        warn_at=0.85,
        higher_is_better=True,
        why=f"P@10 over that of {rival}; pixels are {size:.0f} times as many numbers.",
        good="A code says as much about what is in an image as all pixels, or more, and is searched much faster.",
        poor="A little is lost against comparing pixels, for codes that are searched much faster.",
        broken="Much is lost against comparing pixels.",
    )


def _best_rival(evaluation: Evaluation, rivals: list[str]) -> tuple[float, str]:
    """Find P@10 of the best rival, and its name and value in words."""
    rival = max((evaluation.rival_score(name) for name in rivals), key=lambda score: score.overall["P@10"].value)
    value = rival.overall["P@10"].value
    few = rival.num_queries < len(evaluation.test_ids)
    asked = f", asked with {rival.num_queries:,} of the test images" if few else ""
    return value, f"{rival.method} ({rival.metric}: {value:.3f}{asked})"


def weakest_class(evaluation: Evaluation) -> CheckResult:
    chance_of = {
        name: float(evaluation.chance[evaluation.class_of_image == name].mean())
        for name in evaluation.own_score.by_class
    }
    over_chance = {  # a class of which the gallery has no image cannot be found by anyone
        name: evaluation.own_score.by_class[name]["P@10"].value / chance for name, chance in chance_of.items() if chance
    } or {"none of them is in the gallery": 0.0}
    weakest = min(over_chance, key=over_chance.__getitem__)
    return CheckResult(
        name="weakest class",
        question="Is there a class that is not found?",
        value=over_chance[weakest],
        pass_at=1.2,
        warn_at=1.0,
        higher_is_better=True,
        why=f"P@10 of the weakest class over its chance. Here: {weakest}.",
        good="Every class is found more often than chance.",
        poor="One class is hardly found.",
        broken="One class is found less often than at random: its images land among others.",
    )


def noisy_copies(evaluation: Evaluation) -> CheckResult:
    return _copies(evaluation, "noise", "Does an image with noise (mean 0.1, variance 0.01) still find its original?")


def projected_copies(evaluation: Evaluation) -> CheckResult:
    return _copies(evaluation, "projection", "Does an image at an angle still find its original?")


def _copies(evaluation: Evaluation, corruption: str, question: str) -> CheckResult:
    recall = evaluation.copy_recall[corruption][evaluation.metric]
    return CheckResult(
        name=f"copies with {corruption}",
        question=question,
        value=recall[10].value,
        pass_at=0.5,
        warn_at=0.1,
        higher_is_better=True,
        why=f"recall@10 ({evaluation.metric}) of corrupted gallery images among all gallery images. Needs no labels.",
        good="Most corrupted copies find their original among the first ten.",
        poor="Some do: the code also follows what the corruption changed.",
        broken="Hardly any does: small changes of an image move its code far away.",
    )


def leaks(evaluation: Evaluation) -> CheckResult:
    return CheckResult(
        name="leaks",
        question="What share of the test images is in the gallery too, as it is or altered?",
        value=float(evaluation.leaked.mean()),
        pass_at=0.01,
        warn_at=0.1,
        higher_is_better=False,
        why="Test images with an exact or near duplicate in the gallery ask for memory only. Needs no labels.",
        good="Hardly any: the numbers of this report are about new images.",
        poor="Some: quote the scorecard without them (below) too; duplicates.csv lists the pairs.",
        broken="Many: the test says little. Take those of duplicates.csv out of the source and prepare it again.",
    )


CHECKS: tuple[Callable[[Evaluation], CheckResult], ...] = (
    reconstruction,
    generalisation,
    dead_dimensions,
    correlated_dimensions,
    rank,
    distinct_codes,
    beats_chance,
    beats_linear,
    beats_pixels,
    weakest_class,
    noisy_copies,
    projected_copies,
    leaks,
)
NEED_LABELS = frozenset({beats_chance, beats_linear, beats_pixels, weakest_class})
