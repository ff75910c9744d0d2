"""Runs in a Python with PyTorch: `convnet` at the peers' workload on one thread; asked and answering by lines of JSON.

`torch_engine.py` starts it with the folder that peer_workload.py wrote. It imports nothing of ours.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn


class Convnet:
    """The network with the given weights, its images, and its training by Adam without dropout, as the peers' own."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        index = json.loads((folder / "work.json").read_text("utf-8"))["arrays"]
        data = (folder / "work.bin").read_bytes()
        self.arrays = {
            name: np.frombuffer(data, "<f4", int(np.prod(entry["shape"])), entry["offset"])
            .reshape(entry["shape"])
            .copy()
            for name, entry in index.items()
        }
        self.images = self.arrays.pop("images")[:, None]
        self.labels = self.arrays.pop("labels").astype(np.int64)
        self.reader = self.built()
        self.trainers: dict[int, Any] = {}

    def built(self) -> nn.Sequential:
        """The network anew."""
        features = [nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)]
        network = nn.Sequential(*features, nn.Flatten(), nn.Linear(1600, 10))
        named = {0: "conv1", 3: "conv2", 7: "dense1"}
        state = {
            f"{k}.{kind}": self.arrays[f"{name}.{kind}"] for k, name in named.items() for kind in ("weight", "bias")
        }
        network.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
        return network

    def infer(self, batch: int) -> np.ndarray:
        """Probabilities of the first images, from an array to an array."""
        with torch.inference_mode():
            return torch.softmax(self.reader(torch.from_numpy(self.images[:batch])), 1).numpy()

    def train(self, batch: int) -> float:
        """One Adam step on the first images; its loss."""
        if batch not in self.trainers:
            network = self.built()
            self.trainers[batch] = network, torch.optim.Adam(network.parameters(), 1e-3)
        network, optimizer = self.trainers[batch]
        images, labels = torch.from_numpy(self.images[:batch]), torch.from_numpy(self.labels[:batch])
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
        return float(loss)

    # What is asked for by name.

    def probabilities(self, batch: int, rows: int) -> list[float]:
        return [float(value) for value in self.infer(batch)[:rows].ravel()]

    def losses(self, batch: int, steps: int) -> list[float]:
        self.trainers.pop(batch, None)
        return [self.train(batch) for _ in range(steps)]

    def sample(self, kind: str, batch: int, least: float) -> float:
        """Milliseconds a run, over as many as fill `least` milliseconds."""
        work = self.infer if kind == "infer" else self.train
        began, count = time.perf_counter(), 0
        while not count or (time.perf_counter() - began) * 1e3 < least:
            work(batch)
            count += 1
        return (time.perf_counter() - began) * 1e3 / count


def main() -> None:
    network = Convnet(Path(sys.argv[1]))
    print(json.dumps({"answer": f"PyTorch {torch.__version__} on {torch.get_num_threads()} thread"}), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            found = {"answer": getattr(network, asked["call"])(**asked["given"])}
        except Exception as error:  # told to the bench, which shows it
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
