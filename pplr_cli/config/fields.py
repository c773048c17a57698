"""The settings of a run as typed, documented fields.

Defaults are the official PPLR settings; "paper" is Cho et al., CVPR 2022 (arXiv 2203.14675).
`config/presets.py` finds, reads and overrides the YAML files that fill these fields.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pplr_cli.config.backbones import Backbone
from pplr_cli.config.starts import STARTS, starts_of
from pplr_cli.config.types import (
    MOST,
    AutoCount,
    AutoSeveral,
    Count,
    Fraction,
    Positive,
    Section,
    Several,
    Side,
    Weight,
    is_auto,
)

Mode = Literal["train", "train-cam"]
Precision = Literal["fp32", "bf16"]


class LoggerName(StrEnum):
    """What figures can also be logged to: the name of a package, and of the extra with it."""

    TENSORBOARD = "tensorboard"
    WANDB = "wandb"
    MLFLOW = "mlflow"


class Data(Section):
    """Data set and image size."""

    name: str = Field(min_length=1, description="data set name under the data folder")
    height: Side = Field(384, description="image height in pixels")
    width: Side = Field(128, description="image width in pixels")
    cache: Literal["pixels", "compact", "none", "auto"] = Field(
        "pixels", description="on disk: decoded images, their files' bytes, or nothing"
    )


class Model(Section):
    """The network (paper, section 3.1)."""

    backbone: Backbone = Field(
        "resnet50", description="such as resnet18, resnet50_ibn_a, mobilenet_v2 or timm:NAME"
    )
    weights: str = Field(
        "imagenet",
        min_length=1,
        description="initial: a name such as `imagenet` or `random`, or the path of a file",
    )
    pooling: Literal["avg", "gem"] = Field(
        "avg", description="pooling of the global feature; gem: generalized mean, learned exponent"
    )
    parts: Count = Field(
        3, le=100, description="horizontal stripes with a feature and classifier each"
    )
    classes: Count = Field(3000, description="classifier rows at the start; grows when needed")


class Clustering(Section):
    """Pseudo-labels: k-reciprocal Jaccard distance and DBSCAN (paper, section 4.1)."""

    distance: Literal["jaccard", "camera_jaccard"] = Field(
        "jaccard", description="distance between images; `camera_jaccard` needs two cameras"
    )
    algorithm: Literal["dbscan", "hdbscan", "infomap"] = Field(
        "dbscan", description="clustering algorithm; `infomap` is an extra"
    )
    k1: Several = Field(30, description="neighbours, the image itself included")
    k2: Count = Field(6, description="rows averaged in local query expansion; 1 = none")
    k1_own: Several = Field(
        6, description="camera_jaccard, find_tracks: neighbours of the own camera, itself included"
    )
    k1_others: Count = Field(21, description="camera_jaccard: neighbours of other cameras")
    k2_own: Count = Field(
        2,
        description="camera_jaccard, find_tracks: rows of the own camera averaged, itself included",
    )
    k2_others: Count = Field(4, description="camera_jaccard: rows of other cameras averaged")
    eps: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.5, description="largest Jaccard distance of two neighbours; not used by hdbscan"
    )
    min_samples: Count = Field(
        4,
        description="neighbours (itself included) that make a core image, or smallest cluster",
    )
    search: Literal["exact", "approximate", "auto"] = Field(
        "exact",
        description="neighbour search; `auto`: exact unless the CPU is slow and images are many",
    )
    recall: Annotated[float, Field(ge=0.5, lt=1)] = Field(
        0.98, description="least recall of an approximate search, measured on 1,000 images"
    )
    features: Literal["auto", "memory", "disk"] = Field(
        "auto", description="where they are kept; `auto`: as float16 on disk above 4 GB"
    )
    tracks: bool = Field(True, description="cluster tracks instead of images, if there are tracks")
    track_k: Count = Field(4, description="tracks that an identity is expected to have, roughly")
    find_tracks: bool = Field(
        False, description="without tracks: group near-duplicate images of a camera"
    )
    track_eps: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.4, description="find_tracks: largest distance of two neighbours in a track"
    )


class Agreement(Section):
    """Cross agreement of global and part features (paper, section 3.2)."""

    k: Count = Field(20, description="neighbours compared, the image itself not included")


class Loss(Section):
    """Loss weights (paper, section 3; camera loss: CAP, Wang et al., AAAI 2021)."""

    beta: Fraction = Field(
        0.5, description="weight of the pseudo-label; the rest is the prediction of the parts"
    )
    aals_epoch: int = Field(
        5, ge=0, le=MOST, description="first epoch of agreement-aware label smoothing"
    )
    smoothing: Fraction = Field(0.1, description="label smoothing before `aals_epoch`")
    camera_weight: Weight = Field(
        0.5, description="lambda_cam, weight of the inter-camera loss (train-cam)"
    )
    camera_temperature: Positive = Field(0.07, description="temperature of the inter-camera loss")
    camera_negatives: Count = Field(50, description="hardest proxies of other clusters compared")
    camera_entropy: bool = Field(
        False, description="weight each cluster by the entropy of its cameras in the batch"
    )


class Batch(Section):
    """Sampling and normalisation of a training batch."""

    size: AutoSeveral = Field(64, description="images in a batch; `auto` = by the number of images")
    instances: Several = Field(4, description="images of each cluster drawn")
    replicas: Count = Field(
        4, description="consecutive chunks that BatchNorm normalises separately (official: 4 GPUs)"
    )

    @model_validator(mode="after")
    def _divides(self) -> "Batch":
        if is_auto(self.size):
            return self
        if self.size % self.instances or self.size // self.instances < 2:
            raise ValueError(
                f"`batch.size` = `{self.size}`: must be two or more times "
                f"`batch.instances` = `{self.instances}`"
            )
        if self.size % self.replicas or self.size // self.replicas < 2:
            raise ValueError(
                f"`batch.size` = `{self.size}`: must be two or more times "
                f"`batch.replicas` = `{self.replicas}`"
            )
        return self


class Optim(Section):
    """Adam and its schedule."""

    epochs: Count = Field(50, description="epochs; each begins with new pseudo-labels")
    iters: AutoCount = Field(
        400, description="batches in an epoch; `auto` = each image about twice"
    )
    lr: Positive = Field(3.5e-4, description="learning rate")
    weight_decay: Weight = Field(5e-4, description="L2 in the gradient")
    lr_step: Count = Field(20, description="epochs between two reductions of the learning rate")
    lr_factor: Annotated[float, Field(gt=0, le=1)] = Field(
        0.1, description="factor of each reduction"
    )


class Evaluation(Section):
    """Evaluation on the labelled query and gallery, which are never used for training."""

    every: Count = Field(
        5, description="epochs between two evaluations; the last epoch is always evaluated"
    )
    at_start: bool = Field(False, description="evaluate before the first epoch too")


class Engine(Section):
    """Resources; none of these settings changes a result."""

    extract_batch: Count = Field(128, description="images in a batch of feature extraction")
    memory_gb: Positive | None = Field(
        None, description="memory budget of retrieval in GB; null = half of the free memory"
    )
    save_minutes: Positive = Field(
        5.0, description="minutes between two saves of the state; each epoch is saved too"
    )


class Config(Section):
    """A resolved preset: every value that steers a run."""

    title: str = Field("", description="one line that describes the preset")
    data: Data
    model: Model = Model()
    clustering: Clustering = Clustering()
    agreement: Agreement = Agreement()
    loss: Loss = Loss()
    batch: Batch = Batch()
    optim: Optim = Optim()
    evaluation: Evaluation = Evaluation()
    engine: Engine = Engine()
    seed: int = Field(1, ge=0, lt=2**32, description="seed of every random choice")

    @model_validator(mode="after")
    def _fits(self) -> "Config":
        backbone, weights = self.model.backbone, self.model.weights
        possible = starts_of(backbone)
        if weights in {*STARTS, "synthetic"} and weights not in possible:
            what = (
                f"`model.weights` = `{weights}`: there are none for `{backbone}`; "
                f"there are {', '.join(possible)}, or a file"
            )
            hint = f"`--set model.weights={possible[0]}`"
            raise PydanticCustomError("value_error", "{what}", {"what": what, "hint": hint})
        for k in ("", "_own", "_others"):
            if getattr(self.clustering, f"k2{k}") > getattr(self.clustering, f"k1{k}"):
                raise ValueError(f"`clustering.k2{k}` must be at most `clustering.k1{k}`")
        return self

    def document(self) -> dict[str, Any]:
        """Return the settings as plain dicts, as YAML and JSON hold them."""
        return self.model_dump(mode="json")
