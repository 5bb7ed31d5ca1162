"""The study: engine, schedulers, samplers, executors, tracking, leaderboard, promotion."""
