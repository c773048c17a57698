"""Evaluation of a network on a data set's query and gallery splits."""

from torch import Tensor

from pplr_cli.config.fields import Config
from pplr_cli.data.manifest import ImageSet, Manifest, Split
from pplr_cli.data.store import ImageStore
from pplr_cli.engine import memory
from pplr_cli.engine.features import extract
from pplr_cli.engine.network import Network
from pplr_cli.errors import DataError
from pplr_cli.retrieval.ranking import Ids, Scores, evaluate
from pplr_cli.retrieval.survey import Survey, survey
from pplr_cli.runtime import Runtime


class Evaluator:
    """Holds the decoded query and gallery images and scores networks on them.

    Args:
        manifest: of a data set with labelled query and gallery images.
        config: image size, batch of extraction, memory budget.
        runtime: where the network is.

    Raises:
        DataError: there is nothing to evaluate on, or images are broken.
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
        self._engine, self._runtime = config.engine, runtime

    @property
    def sets(self) -> tuple[ImageSet, ImageSet]:
        """The query and the gallery images."""
        query, gallery = self._sets
        return query, gallery

    def scores(self, network: Network, *, rerank: bool = False) -> Scores:
        """Extract the global features of both splits and score the rankings."""
        inputs, block = self._inputs(network), self._block
        with self._runtime.reporter.task("ranking", 0, ""):
            return self._runtime.processes.once(
                lambda: evaluate(*inputs, rerank=rerank, budget=block)
            )

    def survey(self, network: Network, *, top: int, rerank: bool = False) -> Survey:
        """Score as `scores` does, and keep each query's `top` images and the distances' spread."""
        inputs = self._inputs(network)
        with self._runtime.reporter.task("ranking", 0, ""):
            return survey(*inputs, top=top, rerank=rerank, budget=self._block)

    def _inputs(self, network: Network) -> tuple[Tensor, Tensor, Ids, Ids, Ids, Ids]:
        """Return features, identities and cameras, each of queries and gallery."""
        batch = self._engine.extract_batch
        query, gallery = (
            extract(network, store, self._runtime, batch=batch, parts=False)[0]
            for store in self._stores
        )
        (ids, cameras), (gallery_ids, gallery_cameras) = (
            (images.identities, images.cameras) for images in self._sets
        )
        return query, gallery, ids, gallery_ids, cameras, gallery_cameras

    @property
    def _block(self) -> int:
        """Bytes that a block of distances may take."""
        return memory.distance_block(memory.budget(self._engine.memory_gb))
