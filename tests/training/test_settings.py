"""Settings that a training would ignore are refused."""

from __future__ import annotations

import pytest

from latentsearch.config import TrainConfig
from latentsearch.errors import InputError
from latentsearch.recipes import RECIPES
from latentsearch.runs import Run
from latentsearch.training.settings import choose


@pytest.mark.parametrize(
    "flag",
    [{"noise": 0.15}, {"noise_share": 0.5}, {"temperature": 0.3}, {"projection": False}, {"view_side": 24}],
    ids=lambda flag: next(iter(flag)),
)
def test_flags_of_views_are_refused_where_there_are_none(flag, built_digits, tmp_path):
    name = next(iter(flag)).replace("_", "-")
    run = Run(tmp_path, "digits")
    with pytest.raises(InputError, match=rf"--{name}: without --similarity-weight .*Add it"):
        choose(TrainConfig(run="digits", root=tmp_path, **flag), run, built_digits, RECIPES["compact"])
    config = TrainConfig(run="digits", root=tmp_path, similarity_weight=0.1, **flag)
    assert getattr(choose(config, run, built_digits, RECIPES["compact"]), next(iter(flag))) == next(iter(flag.values()))
