"""Evaluation of a network on the query and gallery splits of a data set."""

import torch
from torch import Tensor

from pplr_cli.config.fields import Config
from pplr_cli.data.images import ImageSet
from pplr_cli.data.manifest import Manifest
from pplr_cli.data.store import ImageStore
from pplr_cli.engine import memory
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.retrieval.protocol import Protocol, compare
from pplr_cli.retrieval.ranking import Scores, evaluate
from pplr_cli.retrieval.survey import Survey, survey
from pplr_cli.runtime import Runtime

MARKET = Protocol()


class Evaluator:
    """Scores networks on the decoded query and gallery images of a data set.

    Args:
        manifest: a data set with labelled images.
        config: image size, extraction batch, memory budget.
        runtime: the device of the network.
        protocol: what is compared, and what counts.

    Raises:
        DataError: the data set has no labelled images to compare, or images are broken.
        UsageError: tracks are wanted, but the query images have none.
    """

    def __init__(
        self, manifest: Manifest, config: Config, runtime: Runtime, protocol: Protocol = MARKET
    ) -> None:
        found = self._compared = compare(manifest, protocol)
        opened = [found.gallery] if found.places is not None else [found.query, found.gallery]
        self._stores = [ImageStore.open(images, config.data, runtime) for images in opened]
        self._engine, self._runtime, self._relevance = config.engine, runtime, found.relevance
        if copies := self._relevance.copies:
            runtime.reporter.warn(
                f"left out of the ranking: {copies:,} gallery images that are copies of their "
                "query (same file content)",
                "every network finds a copy; remove them from the gallery",
            )

    @property
    def images(self) -> int:
        """The number of images, each counted once."""
        return sum(map(len, self._stores))

    @property
    def sets(self) -> tuple[ImageSet, ImageSet]:
        """The (first) image of each query, and the gallery images."""
        return self._compared.query.take(self._compared.groups.first), self._compared.gallery

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
        batch, (_, _, places, groups, _) = self._engine.extract_batch, self._compared
        *others, gallery = (
            extract(network, store, self._runtime, batch=batch, parts=False)[0]
            for store in self._stores
        )
        query = gallery[torch.from_numpy(places)] if places is not None else others[0]
        return groups.mean(query), gallery

    @property
    def _block(self) -> int:
        """Bytes of a block of distances."""
        return memory.distance_block(memory.budget(self._engine.memory_gb))
