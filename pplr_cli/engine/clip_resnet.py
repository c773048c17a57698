"""The ResNet-50 of CLIP (Radford et al., ICML 2021), which PLIP trained on people.

Other than torchvision's: three convolutions before the first stage, and average pooling instead of
strides. The last stage keeps its resolution, as in the other ResNets here.
"""

from collections import OrderedDict

from torch import Tensor, nn

from pplr_cli.engine.backbone import Backbone
from pplr_cli.engine.replicas import ReplicaBatchNorm2d

WIDTH, BLOCKS, STRIDES = 64, (3, 4, 6, 3), (1, 2, 2, 1)
EXPANSION = 4


class Block(nn.Module):
    """A bottleneck that pools where others have a stride."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = ReplicaBatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = ReplicaBatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = ReplicaBatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.downsample = nn.Sequential()
        if stride > 1 or inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, bias=False)
            self.downsample = nn.Sequential(projection, ReplicaBatchNorm2d(outputs))

    def forward(self, grid: Tensor) -> Tensor:
        """Return the map [B, 4 * width, H / stride, W / stride]."""
        inner = self.relu(self.bn1(self.conv1(grid)))
        inner = self.pool(self.relu(self.bn2(self.conv2(inner))))
        shortcut = self.downsample(self.pool(grid) if len(self.downsample) else grid)
        output: Tensor = self.relu(self.bn3(self.conv3(inner)) + shortcut)
        return output


def clip_resnet(strides: tuple[int, ...] = STRIDES) -> Backbone:
    """Return the network up to its map, with CLIP's names."""
    half = WIDTH // 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    stem = ((3, half, 2), (half, half, 1), (half, WIDTH, 1))
    for number, (inputs, outputs, stride) in enumerate(stem, 1):
        layers[f"conv{number}"] = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        layers[f"bn{number}"] = ReplicaBatchNorm2d(outputs)
        layers[f"relu{number}"] = nn.ReLU(inplace=True)
    layers["pool"] = nn.AvgPool2d(2)
    inputs = WIDTH
    for stage, (blocks, stride) in enumerate(zip(BLOCKS, strides, strict=True)):
        width = WIDTH << stage
        first = Block(inputs, width, stride)
        inputs = EXPANSION * width
        others = (Block(inputs, width, 1) for _ in range(blocks - 1))
        layers[f"layer{stage + 1}"] = nn.Sequential(first, *others)
    backbone = Backbone(channels=inputs)
    for name, layer in layers.items():
        backbone.add_module(name, layer)
    return backbone
