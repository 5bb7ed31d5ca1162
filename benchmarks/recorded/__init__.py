"""Search strategies on recorded learning curves, in simulated time: `python -m benchmarks.recorded`."""
