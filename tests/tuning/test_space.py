"""What a search draws from, and that it draws the same whenever it is asked after the same trials."""

from __future__ import annotations

import json

import pytest

from latentsearch.tuning.from_trial import network_and_recipe
from latentsearch.tuning.sampler import NUM_RANDOM, suggest
from latentsearch.tuning.space import Space
from latentsearch.tuning.trials import PARAMETERS

SPACE = Space(latent_dim=(10,))


def searched(count, space=SPACE, seed=0, loss=lambda parameters: abs(parameters["filters"] - 48)):
    """Suggestions of a whole search, with their losses."""
    before, suggestions = [], []
    for _ in range(count):
        suggestions.append(suggest(space, before, seed=seed))
        before.append((suggestions[-1].draws, loss(suggestions[-1].parameters)))
    return suggestions, before


@pytest.fixture(scope="module")
def search():
    return searched(NUM_RANDOM + 6)


def test_every_suggestion_lies_in_the_space_and_keeps_its_conditions(search):
    tried = [suggestion.parameters for suggestion in search[0]]
    for parameters in tried:
        for name in ("filters", "depth", "dense_units", "activation", "normalisation", "batch_size", "latent_dim"):
            assert parameters[name] in getattr(SPACE, name)
        low, high = SPACE.learning_rate[parameters["optimizer"]]
        assert low <= parameters["learning_rate"] <= high
        similar = parameters["similarity_weight"] > 0
        assert ("temperature" in parameters) is similar
        assert ("projection" in parameters) is similar
        if similar:
            assert SPACE.similarity_weight[0] <= parameters["similarity_weight"] <= SPACE.similarity_weight[1]
            assert SPACE.temperature[0] <= parameters["temperature"] <= SPACE.temperature[1]
        assert set(parameters) <= set(PARAMETERS)
    assert {parameters["optimizer"] for parameters in tried} == {"adam", "muon"}
    assert {parameters["similarity_weight"] > 0 for parameters in tried} == {True, False}


def test_what_is_suggested_depends_on_the_trials_before_alone(search):
    suggestions, before = search
    kept = json.loads(json.dumps(before))  # as from records on disk
    for number in (0, 3, NUM_RANDOM, NUM_RANDOM + 5):
        assert suggest(SPACE, kept[:number], seed=0) == suggestions[number]
    assert suggest(SPACE, kept[:3], seed=1) != suggestions[3]
    worse = [(draws, -loss) for draws, loss in kept]
    assert suggest(SPACE, worse, seed=0) != suggest(SPACE, kept, seed=0)


def test_trials_are_learnt_from_and_failed_ones_are_avoided():
    def loss(parameters):
        return None if parameters["optimizer"] == "adam" else abs(parameters["filters"] - 48)

    suggestions, _ = searched(40, loss=loss)
    late = [suggestion.parameters for suggestion in suggestions[20:]]
    assert sum(parameters["optimizer"] == "muon" for parameters in late) >= 14
    distance = sum(abs(parameters["filters"] - 48) for parameters in late) / len(late)
    assert distance < 12  # 17.6 at random


def test_latent_dimensions_are_searched_among_those_that_are_given():
    suggestions, _ = searched(NUM_RANDOM, Space(latent_dim=(4, 8)))
    assert {suggestion.parameters["latent_dim"] for suggestion in suggestions} == {4, 8}


def test_parameters_become_a_network_and_a_recipe(search):
    for parameters in (suggestion.parameters for suggestion in search[0]):
        network, recipe = network_and_recipe(parameters, shift=2, flip=False)
        assert (recipe.shift, recipe.flip, recipe.schedule) == (2, False, "cosine")
        for name in set(parameters) - {"latent_dim"}:
            assert getattr(network if hasattr(network, name) else recipe, name) == parameters[name]
