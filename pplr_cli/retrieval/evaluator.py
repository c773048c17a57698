"""Evaluation of a network on the query and gallery splits of a data set."""

from torch import Tensor

from pplr_cli.config.fields import Config
from pplr_cli.data.manifest import ImageSet, Manifest, Split
from pplr_cli.data.store import ImageStore
from pplr_cli.engine import memory
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.errors import DataError
from pplr_cli.retrieval.ranking import Scores, evaluate
from pplr_cli.retrieval.relevance import find_relevance
from pplr_cli.retrieval.survey import Survey, survey
from pplr_cli.runtime import Runtime


class Evaluator:
    """Scores networks on the decoded query and gallery images of a data set.

    Args:
        manifest: a data set with labelled query and gallery images.
        config: image size, extraction batch, memory budget.
        runtime: the device of the network.

    Raises:
        DataError: the data set has no labelled query or gallery images, or images are broken.
    """

    def __init__(self, manifest: Manifest, config: Config, runtime: Runtime) -> None:
        if not manifest.can_evaluate:
            raise DataError(
                f"data set `{manifest.name}` has no query and gallery images with identities and "
                "cameras",
                "evaluation needs labels; training does not",
            )
        self._sets = [manifest.split(Split.QUERY), manifest.split(Split.GALLERY)]
        self._stores = [ImageStore.open(images, config.data, runtime) for images in self._sets]
        columns = ("identities", "cameras", "contents")
        self._relevance = find_relevance(
            *(getattr(images, name) for name in columns for images in self._sets)
        )
        self._engine, self._runtime = config.engine, runtime
        if copies := self._relevance.copies:
            runtime.reporter.warn(
                f"left out of the ranking: {copies:,} gallery images that are copies of their "
                "query (same file content)",
                "every network finds a copy; remove them from the gallery",
            )

    @property
    def sets(self) -> tuple[ImageSet, ImageSet]:
        """The query and the gallery images."""
        query, gallery = self._sets
        return query, gallery

    def scores(self, network: Network, *, rerank: bool = False) -> Scores:
        """Extract the global features of both splits and score the rankings."""
        features, block = self._features(network), self._block
        with self._runtime.reporter.task("ranking", 0, ""):
            return self._runtime.processes.on_rank_zero(
                lambda: evaluate(*features, self._relevance, rerank=rerank, budget=block)
            )

    def survey(self, network: Network, *, top: int, rerank: bool = False) -> Survey:
        """Score as `scores` does, and keep each query's `top` images and the distances' counts."""
        features = self._features(network)
        with self._runtime.reporter.task("ranking", 0, ""):
            return survey(*features, self._relevance, top=top, rerank=rerank, budget=self._block)

    def _features(self, network: Network) -> tuple[Tensor, Tensor]:
        """Return the global features of query and gallery."""
        batch = self._engine.extract_batch
        query, gallery = (
            extract(network, store, self._runtime, batch=batch, parts=False)[0]
            for store in self._stores
        )
        return query, gallery

    @property
    def _block(self) -> int:
        """Bytes of a block of distances."""
        return memory.distance_block(memory.budget(self._engine.memory_gb))
