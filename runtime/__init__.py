"""Runs what the compiler emits: data, training, checkpoints, evaluation. Knows neither the grammar nor the compiler."""
