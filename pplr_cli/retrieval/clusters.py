"""Group crops without training: features, then the label stage."""

from typing import NamedTuple

from pplr_cli.data.images import ImageSet
from pplr_cli.data.tracks import Tracks
from pplr_cli.labelling.near_duplicates import NO_EFFECT, by_tracks
from pplr_cli.labelling.pseudo_labels import PseudoLabels
from pplr_cli.labelling.stage import label
from pplr_cli.retrieval.crops import extract_crops
from pplr_cli.retrieval.model import Model


class Clustered(NamedTuple):
    """N images and their pseudo-labels."""

    images: ImageSet
    pseudo: PseudoLabels


def cluster_images(model: Model, images: ImageSet, *, skip_bad: bool = False) -> Clustered:
    """Cluster images as an epoch of training does, with the settings of the model.

    Tracks and cameras are used if the images have them.

    Raises:
        DataError: images cannot be decoded (all are listed): any, or with `skip_bad` all; or there
            are fewer images than neighbours.
    """
    settings = model.config.clustering
    given = Tracks.from_images(images) if settings.tracks else None
    mirrored = by_tracks(settings, images.cameras, given)
    if settings.find_tracks and not mirrored:
        model.runtime.reporter.info(NO_EFFECT)
    crops = extract_crops(model, images, parts=True, mirrored=mirrored, skip_bad=skip_bad)
    tracks = Tracks.from_images(crops.images) if settings.tracks else None
    cameras, agreement = crops.images.cameras, model.config.agreement
    pseudo = label(crops.features, cameras, settings, agreement, model.runtime, tracks=tracks)
    return Clustered(crops.images, pseudo)
