"""Models without epochs: features of images, scikit-learn's fits of them, and what was fitted as tensors."""
