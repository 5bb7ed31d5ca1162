"""Where the jobs of a search run, as it was asked for."""

from search.executors.base import Executor
from search.executors.local import LocalExecutor
from search.request import Request


def open_executor(request: Request, *, num_slots: int) -> Executor:
    """Return what runs the jobs of a request.

    Args:
        request: Names a cluster, or none.
        num_slots: Jobs at once on this machine; a cluster says itself what it has room for.

    Raises:
        StudyError: If the cluster does not answer.
    """
    if request.cluster is None:
        return LocalExecutor(num_slots)
    from search.executors.ray_cluster import RayExecutor  # which takes a second, and few need

    return RayExecutor(request.cluster)
