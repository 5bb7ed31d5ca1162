"""Names that a person can tell apart in a list; no MLflow behind them."""

from search.trials import Trial
from trainer.config import model_name, variant_name
from trainer.settings import Classical


def run_name(trial: Trial) -> str:
    """Return the name of a trial's run, such as `#12 resnet9 muon` or `#3 svm`."""
    config = trial.config
    name = f"#{trial.number} {model_name(config.model)}"
    return name if isinstance(config.model, Classical) else f"{name} {variant_name('optimizer', config.optimizer)}"
