"""Lines of epochs."""

from __future__ import annotations

from latentsearch.training.progress import EpochLine


def test_epochs_are_lines_of_80_columns_and_what_is_no_common_word_is_explained_once(capsys):
    line = EpochLine(100)
    line.set_params({"steps": 5})
    measures = {"loss": 12.34567, "val_loss": 11.23456, "val_mse": 0.0123456, "val_copy_recall": 0.98765}
    for epoch in (98, 99):
        line.on_train_begin()  # as each part of a training does
        line.on_epoch_begin(epoch)
        line.on_epoch_end(epoch, measures)
    lines = capsys.readouterr().out.splitlines()
    assert sum("copies of validation images" in words for words in lines) == 1
    assert lines[-1] == "epoch 100/100  loss 12.35  val_loss 11.23  val_mse 0.01235  copies 0.9877  0 s"
    assert max(map(len, lines)) <= 80
    hidden = EpochLine(2, hidden=frozenset({"val_copy_recall"}))
    hidden.on_train_begin()
    assert not capsys.readouterr().out
