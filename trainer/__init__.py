"""One training job: data, models, augmentation, optimizer, schedule, loop, evaluation.

This package knows nothing of Optuna, of MLflow or of search spaces. Importing it does not import torch.
"""
