"""All data sets that are known by name.

Left out are those whose files can't be fetched (Stanford Cars, FER2013, ImageNet), that need packages which nothing
else here needs (PCAM, CelebA), or whose parts hold different classes (Omniglot, LFW).
"""

from collections.abc import Mapping

from trainer.data.array_sets import ARRAY_SETS
from trainer.data.file_sets import FILE_SETS
from trainer.data.published import Published

CATALOGUE: Mapping[str, Published] = {
    entry.name: entry for entry in sorted((*ARRAY_SETS, *FILE_SETS), key=lambda entry: entry.name)
}
