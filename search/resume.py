"""From the name of a study back to the request that it was made with."""

from pathlib import Path

from search.errors import StudyError
from search.executors.base import Cluster
from search.request import Request
from search.storage import open_storage
from search.store import check_study_name, open_existing_store
from search.study import load_study
from spaces import parse_space


def remembered_request(name: str, *, store: Path, storage: str | None, cache: Path) -> Request:
    """Return the request that a study was last searched with, without its limits of time and workers.

    Raises:
        StudyError: If there is no such study, or it was never searched by autoclf.
    """
    opened = open_existing_store(store)
    study = load_study(open_storage(storage or opened.study_url, read_only=True), check_study_name(name))
    known = study.attributes
    if "autoclf.space" not in known or "autoclf.source" not in known:
        raise StudyError(f"Study {name!r} was not made by `autoclf search`; there is nothing to resume.")
    text = known["autoclf.space_text"]
    return Request(
        space=parse_space(text, file=Path(f"{known['autoclf.space_name']}.yaml")),
        space_text=text,
        study=name,
        source=known["autoclf.source"],
        max_trials=known["autoclf.max_trials"],
        timeout_seconds=None,
        store=store,
        storage=storage,
        tracking_uri=known.get("autoclf.tracking_uri"),
        workers=None,
        device=known["autoclf.device"],
        seed=known["autoclf.seed"],
        data_dir=Path(known["autoclf.data_dir"]),
        cache=cache,
        sampler=known.get("autoclf.sampler", "tpe"),
        scheduler=known.get("autoclf.scheduler", "promotion"),
        cluster=None if known.get("autoclf.cluster") is None else Cluster(**known["autoclf.cluster"]),
        disk_bytes=known.get("autoclf.disk_bytes"),
        races=known.get("autoclf.races", False),
        refits=known.get("autoclf.refits_winner", False),
        reads_test=known.get("autoclf.reads_test", True),
        on_bad_image=known.get("autoclf.on_bad_image"),
        tensorboard=None if known.get("autoclf.tensorboard") is None else Path(known["autoclf.tensorboard"]),
    )
