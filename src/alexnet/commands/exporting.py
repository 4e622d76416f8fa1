"""The command that exports a trained network."""

from typing import TYPE_CHECKING, Annotated, Literal

from alexnet.commands.usage import UsageError

if TYPE_CHECKING:
    from alexnet.exporting.comparison import Comparison


def export(
    model: str,
    /,
    *,
    format_: Literal["onnx", "openvino", "torch", "web"] = "onnx",
    int8: bool = False,
    fp16: bool = False,
    shrink: bool = False,
    max_loss: float = 0.01,
    calibrate: Annotated[str | None, "options", "DATA", "the run's own"] = None,
    out: Annotated[str | None, "options", "PATH", "beside the run"] = None,
    force: bool = False,
) -> int:
    """Export a trained network: for use without torch, or in a browser.

    The export is compared with the network on the run's test images before it is kept, and refused if it falls short.
    It holds eight small training images: whoever loads it repeats their predictions on their own processor.

    Args:
        model: A run folder, the model folder in it, or hf:user/name for a model on the Hugging Face hub.
        format_: onnx: one file for ONNX Runtime, OpenVINO and others. openvino: a folder for OpenVINO. torch: a .pt2
            that any program with torch runs. web: one HTML file that classifies images in a browser.
        int8: A quarter of the size, and about twice as fast: weights and arithmetic in 8 bits.
        fp16: Half the size: weights in 16 bits, arithmetic in 32.
        shrink: Replace hidden layers by smaller ones that output nearly the same for training images.
        max_loss: By how much --shrink may lower the top-1 on val images.
        calibrate: Images for --int8, --shrink and the comparison, where the run's own are gone or unknown.
        out: Where to write it. Only an older export is replaced.
        force: Keep the export although it falls short.

    Examples:
        alexnet export runs/images
        alexnet export runs/images --int8 --shrink
        alexnet export runs/images --format web
    """
    from alexnet.commands.terminal import display
    from alexnet.exporting import export as exporting

    if int8 and fp16:
        raise UsageError("--int8 and --fp16 exclude each other; give one of them")
    if max_loss != 0.01 and not shrink:
        raise UsageError("--max-loss is for --shrink; give both")
    done = exporting.export(
        model,
        format_,
        precision="int8" if int8 else "fp16" if fp16 else "fp32",
        shrink=shrink,
        max_loss=max_loss,
        calibrate=calibrate,
        out=out,
        force=force,
        track=display.track,
    )
    for note in done.notes:
        display.say(f"note: {note}")
    print(_table(done.comparison))
    print(f"\nwritten to {done.path}; it holds eight small images of the data, for its self-test")
    return 0


def _table(comparison: "Comparison") -> str:
    """Return the original and the export side by side, and what became of the predictions."""
    from alexnet.commands.terminal.tables import table, text

    made = table("", "before", "after")
    made.add_row("top-1", f"{comparison.top1_before:.3f}", f"{comparison.top1_after:.3f}")
    made.add_row("size", *(f"{n / 1e6:.1f} MB" for n in (comparison.n_bytes_before, comparison.n_bytes)))
    for n, before in comparison.milliseconds_before.items():
        what = "one image" if n == 1 else f"an image, {n} at a time"
        made.add_row(what, f"{before:.1f} ms", f"{comparison.milliseconds[n]:.1f} ms")
    n, lost = comparison.n_images, comparison.n_lost
    return (
        f"{text(made)}\n\nsame top-1 for {n - comparison.n_differing} of {n} {comparison.split} images; largest change "
        f"of a probability: {comparison.largest_difference:.2g}; "
        f"images {'lost' if lost >= 0 else 'gained'}: {abs(lost)}"
    )
