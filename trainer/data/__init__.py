"""Images on the way in: a source is found, verified, split and decoded once; all workers map the result.

Importing this package imports neither torch nor scikit-learn. The test split has a door of its own, `locked`.
"""

from trainer.data.charts import distribution_chart
from trainer.data.images import BadImage
from trainer.data.inspection import Copies, Inspection, Sizes, Spread, inspect
from trainer.data.preparation import prepare
from trainer.data.sheets import sample_sheet
from trainer.data.sources import Cifar10, Digits, Folder, Named, Npz, Source, Table, Torchvision, parse_source
from trainer.data.store import DataSet, Split, absent_classes, load_data_set, open_split
from trainer.data.suggestions import suggest, suggest_training

__all__ = [
    "BadImage",
    "Cifar10",
    "Copies",
    "DataSet",
    "Digits",
    "Folder",
    "Inspection",
    "Named",
    "Npz",
    "Sizes",
    "Source",
    "Split",
    "Spread",
    "Table",
    "Torchvision",
    "absent_classes",
    "distribution_chart",
    "inspect",
    "load_data_set",
    "open_split",
    "parse_source",
    "prepare",
    "sample_sheet",
    "suggest",
    "suggest_training",
]
