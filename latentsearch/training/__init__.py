"""Train a network: data, model, callbacks, history."""
