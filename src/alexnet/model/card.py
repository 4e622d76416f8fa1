"""The model card: the README of a saved model.

Written by hand although huggingface_hub has ``ModelCard``: that package is optional, and every training writes a card.
"""

import json
from collections.abc import Mapping
from typing import Any

from alexnet.model.artifact import Artifact
from alexnet.model.hub import MODEL_ID, PREFIX, public_name

# The placeholder for the model's address. ``push`` replaces it.
PLACE = "THIS_FOLDER"
_RESIZED = {"squash": "squashed to", "crop": "cropped square, resized to", "pad": "padded square, resized to"}
# ImageNet's thousand classes would fill the README.
_N_LISTED = 50


def model_card(artifact: Artifact) -> str:
    """Return the model card as Markdown, with the metadata that the Hugging Face hub reads."""
    made, net, preprocessing = artifact.provenance, artifact.architecture, artifact.preprocessing
    colours = "" if net.in_channels == 3 else ", luminance"
    centred = ", less the mean image of the training images" if net.mean_image else ""
    listed = [f"- {label}" for label in artifact.classes[:_N_LISTED]]
    if len(artifact.classes) > _N_LISTED:
        listed.append(f"- and {len(artifact.classes) - _N_LISTED} more: see `config.json`")
    classes = "\n".join(listed)
    return f"""{front_matter(artifact)}
# AlexNet for {net.n_classes} classes

An AlexNet (variant `{net.variant}`, {net.n_parameters:,} parameters) for these classes:

{classes}

| | |
|---|---|
| trained on | {public_name(made["data"])}: {made["n_train"]:,} images, {made["n_val"]:,} more to validate |
| recipe | `{made["recipe"]["name"]}`, {_length(made)}, seed {made["seed"]}, {made["precision"]} |
| top-1 on the validation images | {made["val_top1"]:.3f}{_overlap_note(made)} |
| images | {_RESIZED[preprocessing.resize]} {preprocessing.store_size} px, then {net.image_size} px{colours}{centred} |
| made with | alexnet {made["alexnet"]}, torch {made["torch"]}, {made["finished"]} |

It predicts one of these classes whatever the image shows. It was evaluated only on images like its training images:
evaluate it on your own images before you rely on it.

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
    """Return the YAML metadata for the hub: the model's task, its data and its score."""
    made = artifact.provenance
    lines = ["library_name: alexnet", "pipeline_tag: image-classification", "tags:", "- alexnet"]
    data = str(made.get("data", ""))
    name = public_name(data)
    of_the_hub = MODEL_ID.fullmatch(data.removeprefix(PREFIX).partition(":")[0]) if data.startswith(PREFIX) else None
    if of_the_hub:
        lines += ["datasets:", f"- {_quoted(of_the_hub['repo'])}"]
    if data and made.get("val_top1") is not None:
        # "imagefolder" is the hub's word for images in folders.
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
    """Return the length of the training in words. If a time limit shortened epochs, add the passes over the images."""
    epochs, passes = made["epochs"], made["passes"]
    whole = abs(passes - epochs) < 0.01 * epochs
    return f"{epochs} epochs" if whole else f"{epochs} epochs ({passes:g} passes over the images)"


def _overlap_note(made: Mapping[str, Any]) -> str:
    n = made["n_val_seen_before"]
    return f" (too optimistic: its initial weights were trained on {n} of them)" if n else ""


def _quoted(text: str) -> str:
    """Return a text as a YAML string. Names of folders may hold any characters."""
    return json.dumps("".join(each if each.isprintable() else "?" for each in text), ensure_ascii=False)
