"""Settings that a training would ignore are refused."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from latentsearch.config import TrainConfig
from latentsearch.errors import InputError
from latentsearch.recipes import RECIPES
from latentsearch.runs import Run
from latentsearch.training.settings import Settings, choose, differences, refuse_ignored, resumed
from latentsearch.training.validation import Validator
from tests.training.trainings import train


@pytest.mark.parametrize(
    "flag",
    [{"noise": 0.15}, {"noise_share": 0.5}, {"temperature": 0.3}, {"projection": False}, {"view_side": 24}],
    ids=lambda flag: next(iter(flag)),
)
def test_flags_of_views_are_refused_where_there_are_none(flag, built_digits, tmp_path):
    [(name, value)] = flag.items()
    typed = "no-projection" if name == "projection" else name.replace("_", "-")
    with pytest.raises(InputError, match=rf"--{typed}: without --similarity-weight .*Add it"):
        train(tmp_path, epochs=1, **flag)
    assert not Run(tmp_path, "digits").training_record.exists()
    config = TrainConfig(run="digits", root=tmp_path, similarity_weight=0.1, **flag)
    chosen = choose(config, Run(tmp_path, "digits"), built_digits, RECIPES["compact"])
    refuse_ignored(config, chosen)
    assert getattr(chosen, name) == value


def test_a_training_of_an_older_version_goes_on_with_the_validation_images_that_it_began_with(built_digits, tmp_path):
    run = Run(tmp_path, "digits")
    config = TrainConfig(run="digits", root=tmp_path, epochs=2)
    chosen = choose(config, run, built_digits, RECIPES["compact"])
    assert chosen.validation == "drawn"
    older = dataclasses.asdict(chosen)
    del older["validation"]
    gone_on = resumed(config, run, built_digits, chosen, Settings(**older))
    assert gone_on.validation == "first"
    assert differences(chosen, gone_on) == []
    images = Validator(built_digits, gone_on)._images
    np.testing.assert_array_equal(images, built_digits.images[built_digits.ids("validation")])


def test_a_flag_that_a_training_began_with_may_be_given_again(built_digits, tmp_path):
    flags = {"epochs": 1, "similarity_weight": 0.1, "noise": 0.15, "subset": 64}
    train(tmp_path, **flags)
    again = train(tmp_path, resume=True, noise=0.15)
    assert not again.is_new
