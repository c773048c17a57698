"""Cluster the training images of a run anew, with its last weights: as the next epoch would."""

from pathlib import Path
from typing import NamedTuple

from pplr_cli.config.fields import Config
from pplr_cli.data.images import ImageSet, Split
from pplr_cli.data.store import ImageStore
from pplr_cli.data.tracks import Tracks
from pplr_cli.engine.features import extract
from pplr_cli.labelling.answers import read_answers
from pplr_cli.labelling.constraints import Answers
from pplr_cli.labelling.disk_features import Features
from pplr_cli.labelling.near_duplicates import by_tracks, find_tracks
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.questions import Parts, parts_of_images, parts_of_tracks
from pplr_cli.labelling.stage import find_neighbors, label, similarity
from pplr_cli.retrieval.model import Model
from pplr_cli.runs.folder import ANSWERS, LAST
from pplr_cli.runs.records import Run
from pplr_cli.runtime import Runtime


class Clustered(NamedTuple):
    """The training images of a run with the clusters of its last weights."""

    config: Config  # the settings of the run
    epoch: int  # epochs that the weights were trained
    images: ImageSet  # the N training images
    store: ImageStore  # their pixels
    tracks: Tracks | None  # their tracks; None if images are clustered
    features: Features  # [1 + P, N, D]
    pseudo: PseudoLabels  # their clusters and agreement
    answers: Answers | None  # the answers that the clusters honour, if any

    def parts(self) -> Parts:
        """Return the parts of the clusters that can be asked about."""
        settings, labels = self.config.clustering, self.pseudo.labels
        vectors = self.features[0]
        if self.tracks is not None:
            return parts_of_tracks(vectors, self.tracks, labels, settings.track_k)
        found = find_neighbors(vectors, self.images.cameras, settings)
        return parts_of_images(similarity(vectors, found, settings), labels)


def cluster_again(
    run: Path, runtime: Runtime, data_dir: Path | None = None, answers: Path | None = None
) -> Clustered:
    """Compute the features of a run's training images with `last.pth`, and cluster them.

    Args:
        run: the run folder.
        runtime: where the network runs.
        data_dir: the data folder; by default that of the run.
        answers: `answers.csv`; by default the file that the run folder keeps, if any.

    Raises:
        UsageError: the folder contains no run.
        WeightsError: it contains no weights yet.
        DataError: the data set is not that of the run, or answers contradict each other.
    """
    records = Run(run)
    config = records.config
    model = Model.load(run / LAST, runtime)
    images = records.open_data(data_dir, runtime.reporter).split(Split.TRAIN)
    tracks = Tracks.from_images(images) if config.clustering.tracks else None
    kept = run / ANSWERS
    file = answers or (kept if kept.is_file() else None)
    of = None if tracks is None else tracks.of
    known = None if file is None else read_answers(file, images.paths, of, runtime.reporter)
    store = ImageStore.open(images, config.data, runtime)
    mirrored = by_tracks(config.clustering, images.cameras, tracks)
    features = extract(
        model.network,
        store,
        runtime,
        batch=config.engine.extract_batch,
        mirrored=mirrored,
        kept=config.clustering.features,
    )
    if tracks is None and mirrored:
        tracks = find_tracks(features[0], images.cameras, config.clustering, known, runtime)
    used = config.clustering, config.agreement, runtime
    pseudo = label(features, images.cameras, *used, tracks=tracks, answers=known)
    epoch = int(model.about.get("epoch", 0))
    return Clustered(config, epoch, images, store, tracks, features, pseudo, known)
