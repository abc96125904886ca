"""Print how weights were trained and how they score, from their own cards, as Markdown.

``python docs/weights_table.py``: of all weights that ship; with files as arguments: of those, with all settings.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from sasnet_live.network.checkpoint import ModelCard, load_model
from sasnet_live.network.names import shipped_weights

CONDITIONS = ("device", "processes", "computed_in", "torch")


def main(files: list[str]) -> None:
    paths = [Path(file) for file in files] or list(shipped_weights().values())
    for path in paths:
        network, card = load_model(path)
        parameters = sum(parameter.numel() for parameter in network.parameters())
        print("\n".join(_described(card, parameters, path.stat().st_size, all_settings=bool(files))))


def _described(card: ModelCard, parameters: int, size: int, *, all_settings: bool) -> Iterator[str]:
    training = card.training
    facts = {
        "parameters": f"{parameters:,}",
        "file": f"{size / 1e6:.2f} MB, sha256 `{card.sha256}`",
        "trained with": f"sasnet-live {card.version}, seed {training['seed']}",
        "on": card.training_data,
        "best at step": f"{training['step']} of {training['steps']}",
        "wall time up to there": f"{training['elapsed_s'] / 60:.0f} min",
        "computed": ", ".join(f"{name} {training[name]}" for name in CONDITIONS if name in training),
    }
    if all_settings:
        facts |= {name: f"`{value}`" for name, value in training.items()}
        facts["architecture"] = f"`{card.config}`"
    yield f"### {card.name}\n\n| | |\n|---|---|"
    yield from (f"| {name} | {value} |" for name, value in facts.items() if value)
    yield "\n| validation frames | NCC moved, gain matched | NCC rendered | SSIM moved, gain matched | SSIM rendered |"
    yield "|---|---|---|---|---|"
    for group, figures in card.scores.items():
        yield "| " + " | ".join([group, *(f"{value:.4f}" for value in figures.values())]) + " |"
    yield ""


if __name__ == "__main__":
    main(sys.argv[1:])
