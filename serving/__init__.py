"""What happens to a model after promotion: it predicts, is exported, and serves."""
