"""The README that travels with a model."""

import json
from collections.abc import Mapping
from typing import Any

from alexnet.model.artifact import Artifact
from alexnet.model.hub import MODEL_ID, PREFIX, public_name

# What a card calls the place of its model, until it has one.
PLACE = "THIS_FOLDER"
_SHAPED = {"squash": "squashed to", "crop": "cut square, to", "pad": "padded square, to"}
# ImageNet's thousand would be the whole README.
_N_LISTED = 50


def model_card(artifact: Artifact) -> str:
    """Return what somebody who finds the model folder needs to know, as Markdown that the Hugging Face hub can file."""
    made, net, how = artifact.provenance, artifact.architecture, artifact.preprocessing
    colours = "" if net.in_channels == 3 else ", luminance"
    listed = [f"- {label}" for label in artifact.classes[:_N_LISTED]]
    if len(artifact.classes) > _N_LISTED:
        listed.append(f"- and {len(artifact.classes) - _N_LISTED} more: see `config.json`")
    classes = "\n".join(listed)
    return f"""{front_matter(artifact)}
# AlexNet for {net.n_classes} classes

An AlexNet (variant `{net.variant}`, {net.n_parameters:,} parameters) that tells these apart:

{classes}

| | |
|---|---|
| trained on | {public_name(made["data"])}: {made["n_train"]:,} images, {made["n_val"]:,} more to validate |
| recipe | `{made["recipe"]["name"]}`, {_length(made)}, seed {made["seed"]}, {made["precision"]} |
| top-1 on the validation images | {made["val_top1"]:.3f}{_flattered(made)} |
| images | {_SHAPED[how.resize]} {how.store_size} px, then {net.image_size} px{colours} |
| made with | alexnet {made["alexnet"]}, torch {made["torch"]}, {made["finished"]} |

It answers with one of these classes whatever the image shows, and was judged only on images like those it learned
from: judge it on your own before you rely on it.

## Use it

```bash
alexnet predict {PLACE} image.jpg
```

```python
import alexnet

classifier = alexnet.load("{PLACE}")
print(classifier.predict("image.jpg")[0].label)
```
"""


def front_matter(artifact: Artifact) -> str:
    """Return the lines of YAML by which the hub files a model: what it does, on which data, and how well."""
    made = artifact.provenance
    lines = ["library_name: alexnet", "pipeline_tag: image-classification", "tags:", "- alexnet"]
    data = str(made.get("data", ""))
    name = public_name(data)
    of_the_hub = MODEL_ID.fullmatch(data.removeprefix(PREFIX).partition(":")[0]) if data.startswith(PREFIX) else None
    if of_the_hub:
        lines += ["datasets:", f"- {_quoted(of_the_hub['repo'])}"]
    if data and made.get("val_top1") is not None:
        # The hub's word for images in folders.
        kind = of_the_hub["repo"] if of_the_hub else "imagefolder" if name != data else data
        lines += [
            "model-index:",
            f"- name: {_quoted(f'alexnet-{artifact.architecture.variant}')}",
            "  results:",
            "  - task: {type: image-classification}",
            f"    dataset: {{name: {_quoted(name)}, type: {_quoted(kind)}, split: val}}",
            f"    metrics: [{{type: accuracy, name: top-1, value: {float(made['val_top1']):.4f}}}]",
        ]
    return "\n".join(["---", *lines, "---", ""])


def _length(made: Mapping[str, Any]) -> str:
    """Say how long training was; where the clock cut epochs short, also how often the images were seen."""
    epochs, passes = made["epochs"], made["passes"]
    whole = abs(passes - epochs) < 0.01 * epochs
    return f"{epochs} epochs" if whole else f"{epochs} epochs ({passes:g} passes over the images)"


def _flattered(made: Mapping[str, Any]) -> str:
    n = made["n_val_seen_before"]
    return f" (flattered: what it began with had learned from {n} of them)" if n else ""


def _quoted(text: str) -> str:
    """Return a text as YAML, in which names of folders may hold anything."""
    return json.dumps("".join(each if each.isprintable() else "?" for each in text), ensure_ascii=False)
