"""Compare the backbones: parameters, GFLOP, and images per second of extraction.

python -m benchmarks.backbones resnet50 mobilenet_v2 timm:vit_small_patch16_224
python -m benchmarks.backbones --device cuda --batch 128 --training
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch.utils.flop_counter import FlopCounterMode

from pplr_cli.config.backbones import NAMES
from pplr_cli.engine.network import Network
from pplr_cli.engine.replicas import has_replicas, set_replicas


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    print("| backbone | features | parameters (M) | GFLOP | images / s | map | BatchNorm |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in options.backbones or NAMES:
        print(row(name, options), flush=True)


def row(name: str, options: argparse.Namespace) -> str:
    """Return a line of the table; GFLOP are those of one image, a multiply-add counted as two."""
    network = Network(name, classes=1).eval().to(options.device)
    images = torch.randn(options.batch, 3, *options.size, device=options.device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        grid = network.base.map(images[:1])
    parameters = sum(p.numel() for p in network.base.parameters()) / 1e6
    work = training(network, images) if options.training else extraction(network, images)
    speed = options.batch / seconds(work, options)
    flop, norms = counter.get_total_flops() / 1e9, "yes" if has_replicas(network.base) else "no"
    size = f"{grid.shape[2]} x {grid.shape[3]}"
    return (
        f"| `{name}` | {network.feature_size} | {parameters:.1f} | {flop:.2f} | {speed:.1f} | "
        f"{size} | {norms} |"
    )


def extraction(network: Network, images: torch.Tensor) -> Callable[[], object]:
    def work() -> object:
        with torch.no_grad():
            return network.embed(images)

    return work


def training(network: Network, images: torch.Tensor) -> Callable[[], object]:
    """Return a forward and backward pass over four replicas."""
    set_replicas(network.train(), 4)

    def work() -> object:
        network.zero_grad()
        return network(images, 1).part_features.square().mean().backward()

    return work


def seconds(work: Callable[[], object], options: argparse.Namespace) -> float:
    """Return the shortest time of some repeats, after one to warm up.

    On a CPU, the time of one thread on it: a busy machine does not change that much.
    """
    on_cpu = options.device == "cpu" and options.threads == 1
    clock = time.process_time if on_cpu else time.perf_counter
    times = []
    for _ in range(1 + options.repeats):
        start = clock()
        work()
        if options.device == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - start)
    return min(times[1:])


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backbones", nargs="*", help="default: all but those of timm")
    parser.add_argument("--size", type=int, nargs=2, default=(256, 128), help="height and width")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--training", action="store_true", help="forward and backward instead")
    return parser.parse_args()


if __name__ == "__main__":
    main()
