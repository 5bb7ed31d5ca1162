"""Names that a person can tell apart in a list; no MLflow behind them."""

from search.trials import Trial
from trainer.config import model_name, variant_name


def run_name(trial: Trial) -> str:
    """Return the name of a trial's run, such as `#12 resnet9 muon`."""
    model = model_name(trial.config.model)
    optimizer = variant_name("optimizer", trial.config.optimizer)
    return f"#{trial.number} {model} {optimizer}"
