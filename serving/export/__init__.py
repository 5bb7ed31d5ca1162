"""A trained model in other forms: each is written, read back, and compared with the model before it counts."""
