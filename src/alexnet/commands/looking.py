"""Commands that look at networks and images, and train nothing."""

from typing import Annotated, Literal

from alexnet.commands.usage import UsageError, at_least_1
from alexnet.images.choices import MAX_PIXELS, Resize
from alexnet.network.value.options import NetworkOptions


def summary(
    *,
    as_: Annotated[Literal["table", "mermaid", "json"], "common"] = "table",
    n_classes: Annotated[int | None, "common"] = None,
    in_channels: Annotated[int | None, "common"] = None,
    image_size: Annotated[int | None, "common"] = None,
    custom: NetworkOptions = NetworkOptions(),  # noqa: B008
) -> int:
    """Show a network layer by layer: shapes, parameters, multiply-adds.

    auto keeps what the variant, or the file, has. Without either, the variant is batchnorm.

    Args:
        as_: Print a table, a Mermaid drawing or JSON.
        n_classes: Number of classes; auto: 3.
        in_channels: 3 for colour, 1 for grey.
        image_size: Side of the images in pixels.
        custom: Which network.

    Examples:
        alexnet summary --variant paper
        alexnet summary --width 0.5 --hidden 512 512 --as mermaid
    """
    from alexnet.errors import whole_package
    from alexnet.network import diagram

    if n_classes is None and custom.architecture is None:
        n_classes = 3
    draw = {"table": diagram.table, "mermaid": diagram.mermaid, "json": diagram.as_json}[as_]
    net = custom.network(n_classes=n_classes, in_channels=in_channels, image_size=image_size)
    with whole_package("alexnet summary --as table", "; or use --as mermaid or --as json"):
        print(draw(net))
    return 0


def check(
    data: str,
    /,
    *,
    json_: bool = False,
    csv_: bool = False,
    max_pixels: int = MAX_PIXELS,
    data_dir: Annotated[str | None, "options", "FOLDER"] = None,
) -> int:
    """Check images before training: unreadable, duplicate, mislabelled.

    Reads every file and changes none. The exit status is 1 if an image cannot be read, has two labels or is in two
    splits, and 0 otherwise.

    Args:
        data: Images, as for alexnet train.
        json_: Print one JSON object instead of tables.
        csv_: Print one CSV line per image with a problem.
        max_pixels: Images that claim more are unusable.
        data_dir: Where named sets are downloaded to.

    Examples:
        alexnet check images
        alexnet check images --csv > problems.csv
    """
    from alexnet.commands.terminal import display, tables
    from alexnet.data.check import check as check_source
    from alexnet.data.sources.open import open_source

    if json_ and csv_:
        raise UsageError("--json and --csv exclude each other; give one of them")
    at_least_1("max_pixels", max_pixels)
    source = open_source(data, data_dir)
    display.warn(source.warnings)
    report = check_source(source, max_pixels=max_pixels, track=display.track)
    print((tables.check_json if json_ else tables.check_csv if csv_ else tables.check_report)(report))
    return 1 if report.is_harmful else 0


def prepare(
    data: str | None = None,
    /,
    *,
    size: int = 256,
    resize: Resize = "squash",
    max_pixels: int = MAX_PIXELS,
    data_dir: Annotated[str | None, "options", "FOLDER"] = None,
    where: bool = False,
    clear: bool = False,
) -> int:
    """Decode images once into the cache, so that training starts at once.

    The cache is a folder of your system, or the one that ALEXNET_CACHE names. train and evaluate prepare what is
    missing by themselves. Preparing again continues where it stopped, and verifies what was prepared of these images
    before, in any size: it reads all of it (2 GB for 10,000 images of 256 px) and prepares anew what the disk has
    damaged. The exit status is 1 if that fails for an image.

    Args:
        data: Images, as for alexnet train.
        size: Side of the prepared images in pixels, at most 8/7 of the longest side of any image. Training uses 256,
            or 8/7 of an image size above 224.
        resize: How images become square: squash changes the aspect, crop cuts the ends off, pad adds borders.
        max_pixels: Images that claim more are skipped.
        data_dir: Where named sets are downloaded to.
        where: Print the cache folder and its size.
        clear: Delete all prepared images, and nothing of yours.

    Examples:
        alexnet prepare images
        alexnet prepare --where
    """
    from alexnet.commands.terminal import display
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
    display.warn(source.warnings)
    prepared = store.prepare(source, size, resize=resize, max_pixels=max_pixels, track=display.track)
    display.warn(prepared.warnings)
    display.warn_of_skipped(prepared.skipped)
    mended = mend(source, opened=prepared, max_pixels=max_pixels, track=display.track)
    if mended.n_whole:
        print(f"{mended.n_whole} damaged on the disk, prepared anew")
    display.warn_of_damaged(mended.left)
    megabytes = len(prepared.rows) * prepared.size**2 * 3 / 1e6
    print(f"{len(prepared.rows)} images of {len(source.classes)} classes, {prepared.size} px, {megabytes:.0f} MB")
    print(f"prepared in {prepared.folder}")
    return 1 if mended.left else 0
