"""Loads what fits models without epochs; named to a server that workers are forked from, it is waited for once."""

import sklearn.decomposition
import sklearn.ensemble
import sklearn.linear_model
import sklearn.svm  # noqa: F401
