"""The README that travels with a model."""

from alexnet.inference.artifact import Artifact

_SHAPED = {"squash": "squashed to", "crop": "cut square, to", "pad": "padded square, to"}


def model_card(artifact: Artifact) -> str:
    """Return what somebody who finds the model folder needs to know, as Markdown."""
    made, net, how = artifact.provenance, artifact.architecture, artifact.preprocessing
    colours = "" if how.n_channels == 3 else ", luminance"
    classes = "\n".join(f"- {label}" for label in artifact.classes)
    return f"""# AlexNet for {net.n_classes} classes

An AlexNet (variant `{net.variant}`, {net.n_parameters:,} parameters) that tells these apart:

{classes}

| | |
|---|---|
| trained on | {made["data"]}: {made["n_train"]:,} pictures, {made["n_val"]:,} more to validate |
| recipe | `{made["recipe"]["name"]}`, {made["epochs"]} epochs, seed {made["seed"]}, {made["precision"]} |
| top-1 on the validation pictures | {made["val_top1"]:.3f} |
| pictures | {_SHAPED[how.resize]} {how.store_size} px, then {net.image_size} px{colours} |
| made with | alexnet {made["alexnet"]}, torch {made["torch"]}, {made["finished"]} |

## Use it

```bash
alexnet predict THIS_FOLDER photo.jpg
```

```python
import alexnet

classifier = alexnet.load("THIS_FOLDER")
print(classifier.predict("photo.jpg")[0].label)
```
"""
