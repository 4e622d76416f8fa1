"""Commands that look at networks and at images, and train nothing."""

from typing import Annotated, Literal

import tyro

from alexnet.commands.usage import UsageError, at_least_1
from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.network.value.options import NetworkOptions


def summary(
    *,
    custom: Annotated[NetworkOptions, tyro.conf.arg(name="")] = NetworkOptions(),  # noqa: B008
    n_classes: int | None = None,
    in_channels: int | None = None,
    image_size: int | None = None,
    as_: Annotated[Literal["table", "mermaid", "json"], tyro.conf.arg(name="as")] = "table",
) -> int:
    """Show a network layer by layer: shapes, parameters, multiply-adds.

    Args:
        custom: Which network.
        n_classes: Classes to tell apart; auto: 3, or the file's.
        in_channels: Channels of an image: 3 for RGB, 1 for grey; auto: 3, or the file's.
        image_size: Side of the images, in pixels; auto: the network's, 224 in most.
        as_: A table, a Mermaid drawing for Markdown, or JSON.
    """
    from alexnet.network import diagram

    if n_classes is None and custom.architecture is None:
        n_classes = 3
    draw = {"table": diagram.table, "mermaid": diagram.mermaid, "json": diagram.as_json}[as_]
    print(draw(custom.network(n_classes=n_classes, in_channels=in_channels, image_size=image_size)))
    return 0


def check(
    data: Annotated[str, tyro.conf.arg(metavar="DATA")],
    /,
    *,
    json_: Annotated[bool, tyro.conf.arg(name="json"), tyro.conf.FlagCreatePairsOff] = False,
    csv_: Annotated[bool, tyro.conf.arg(name="csv"), tyro.conf.FlagCreatePairsOff] = False,
    max_pixels: int = MAX_PIXELS,
    data_dir: str | None = None,
) -> int:
    """Look at images before training: what cannot be read, what is there twice, what is labelled twice.

    Reads every file and changes none. Exits with 1 where images cannot be read, where the same image has two labels
    or is in two splits, else with 0.

    Args:
        data: Images, as for training.
        json_: Print one JSON object instead of tables.
        csv_: Print a line of CSV for each image that something is wrong with.
        max_pixels: Images that claim more are unusable.
        data_dir: Folder of the named sets, to which they are downloaded; none: one of your system's.
    """
    from alexnet.commands import display, tables
    from alexnet.data.check import check as look
    from alexnet.data.sources.open import open_source

    if json_ and csv_:
        raise UsageError("--json and --csv exclude each other; give one of them")
    at_least_1("max_pixels", max_pixels)
    source = open_source(data, data_dir)
    display.warn_of(source.warnings)
    report = look(source, max_pixels=max_pixels, track=display.track)
    print((tables.check_json if json_ else tables.check_csv if csv_ else tables.check_report)(report))
    return 1 if report.is_harmful else 0


def prepare(
    data: Annotated[str | None, tyro.conf.arg(metavar="[DATA]", help_behavior_hint="")] = None,
    /,
    *,
    size: int = 256,
    resize: Resize = "squash",
    max_pixels: int = MAX_PIXELS,
    data_dir: str | None = None,
    where: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    clear: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> int:
    """Decode images once, so that training starts at once.

    The prepared images go to the cache folder of your system, or to the folder that ALEXNET_CACHE names, never into
    your own. Training and evaluating find them there, and make them where they are missing. A preparation that was
    stopped goes on from there. What was prepared of these images before, in any size, is verified, and what the disk
    has damaged is prepared anew: for that all of it is read, 2 GB for 10,000 images of 256 px. Exits with 1 where a
    damaged one cannot be prepared anew.

    Args:
        data: Images, as for training.
        size: Side of the prepared images in pixels; never above 8/7 of the longest side of any image. Training
            takes 256, or 8/7 of an image size above 224.
        resize: How images become square: squash changes the aspect, crop cuts the ends off, pad adds borders.
        max_pixels: Images that claim more are skipped, before any of them is decoded.
        data_dir: Folder of the named sets, to which they are downloaded; none: one of your system's.
        where: Say where prepared images are kept, and how large they are.
        clear: Delete all prepared images; nothing of yours.
    """
    from alexnet.commands import display
    from alexnet.data.sources.open import open_source
    from alexnet.data.store import cache, store
    from alexnet.data.store.mending import mend

    if [data is not None, where, clear].count(True) != 1:
        raise UsageError("prepare needs DATA, or --where, or --clear")
    if where:
        print(f"{cache.cache_folder()}  {cache.cache_size() / 1e6:.0f} MB")
        return 0
    if clear:
        print(f"deleted {cache.clear() / 1e6:.0f} MB of prepared images from {cache.cache_folder()}")
        return 0
    assert data is not None
    at_least_1("size", size)
    at_least_1("max_pixels", max_pixels)
    source = open_source(data, data_dir)
    display.warn_of(source.warnings)
    prepared = store.prepare(source, size, resize=resize, max_pixels=max_pixels, track=display.track)
    display.warn_of(prepared.warnings)
    display.warn_of_skipped(prepared.skipped)
    mended = mend(source, opened=prepared, max_pixels=max_pixels, track=display.track)
    if mended.n_whole:
        print(f"{mended.n_whole} damaged on the disk, prepared anew")
    display.warn_of_damaged(mended.left)
    megabytes = len(prepared.rows) * prepared.size**2 * 3 / 1e6
    print(f"{len(prepared.rows)} images of {len(source.classes)} classes, {prepared.size} px, {megabytes:.0f} MB")
    print(f"prepared in {prepared.folder}")
    return 1 if mended.left else 0
