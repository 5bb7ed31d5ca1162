"""A model of what configurations come to: Gaussian processes over a space, linked from rung to rung."""
