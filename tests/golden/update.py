"""Write the golden numbers anew: `python -m tests.golden.update`, from the root of the repository."""

import json

from tests.golden.recipes import RECIPES, losses, path_of

if __name__ == "__main__":
    for recipe in RECIPES:
        path_of(recipe).write_text(json.dumps(losses(recipe), indent=2) + "\n", encoding="ascii")
