import io
import shutil
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from alexnet.data.sources.folders.archive import Zip
from alexnet.data.sources.open import open_source
from alexnet.data.store import store
from alexnet.errors import DataError, ImageError
from alexnet.images.decoding import decode

from ....conftest import coloured_image, make_image_folder, shared_data
from ..trees import make_tree


def pack(folder: Path, archive: Path, top: str = "photos") -> Path:
    """Pack a folder into an archive of the kind that its ending says."""
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, Path(top, path.relative_to(folder)).as_posix())
    else:
        mode = {"tar": "w", "gz": "w:gz", "tgz": "w:gz", "bz2": "w:bz2", "xz": "w:xz"}[archive.name.rpartition(".")[2]]
        with tarfile.open(archive, mode) as file:
            file.add(folder, top)
    return archive


ENDINGS = ["zip", "tar", "tar.gz", "tgz", "tar.bz2", "tar.xz", "ZIP"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_archive_is_read_in_place(image_folder, tmp_path, ending) -> None:
    archive = pack(image_folder, tmp_path / f"photos.{ending.lower()}")
    archive = archive.rename(tmp_path / f"photos.{ending}")
    before = sorted(tmp_path.iterdir())
    source = open_source(archive)
    assert source.classes == ("blue", "green", "red")
    assert len(source.images) == 120
    assert source.images[2].path == "photos/blue/photo 2.jpg"
    wanted = [image.path for image in source.images[::-7]]
    read = dict(source.reader.each(wanted))
    assert set(read) == set(wanted)
    for path in wanted:
        assert read[path]() == (image_folder / path.removeprefix("photos/")).read_bytes()
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("ending", ["zip", "tar.gz"])
def test_splits_and_manifests_in_archives(tmp_path, ending) -> None:
    for split in ("train", "valid"):
        make_image_folder(tmp_path / "set" / split, n_each=2)
    source = open_source(pack(tmp_path / "set", tmp_path / f"a.{ending}", "top/set"))
    assert {image.split for image in source.images} == {"train", "val"}

    (tmp_path / "flat").mkdir()
    for number in range(4):
        coloured_image("red", number).save(tmp_path / "flat" / f"{number}.png")
    lines = "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(4))
    (tmp_path / "flat" / "manifest.csv").write_text(f"path,label\n{lines}")
    archive = pack(tmp_path / "flat", tmp_path / f"b.{ending}")
    source = open_source(archive)
    assert [image.label for image in source.images] == ["a", "b", "a", "b"]
    assert source.name == str(archive)
    assert len(store.prepare(source).rows) == 4


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_images_prepared_from_an_archive_are_the_same(image_folder, tmp_path, ending) -> None:
    source = open_source(pack(image_folder, tmp_path / f"photos.{ending}"))
    prepared = store.prepare(source, 60)
    path = "photos/green/photo 7.jpg"
    expected = store.fit(decode(image_folder / "green" / "photo 7.jpg"), 60, "squash")
    assert np.array_equal(prepared.pixels[prepared.rows[path]], expected)


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_an_archive_that_is_cut_off_is_one_line(image_folder, tmp_path, ending, share) -> None:
    archive = pack(image_folder, tmp_path / f"photos.{ending}")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(DataError, match=rf"photos\.{ending}': it is cut off or damaged.*copy or download it again"):
        store.prepare(open_source(archive))


@pytest.mark.parametrize("ending", ["tar", "tar.gz", "tar.xz"])
def test_damage_in_the_middle_is_not_taken_for_the_end(image_folder, tmp_path, ending) -> None:
    archive = pack(image_folder, tmp_path / f"photos.{ending}")
    content = bytearray(archive.read_bytes())
    if ending == "tar":
        with tarfile.open(archive) as file:
            at = file.getmembers()[6].offset + 10
    else:
        at = len(content) // 2
    content[at] ^= 255
    archive.write_bytes(content)
    with pytest.raises(DataError, match="cut off or damaged"):
        open_source(archive)


def test_the_checksum_at_the_end_is_verified(image_folder, tmp_path) -> None:
    archive = pack(image_folder, tmp_path / "photos.tar.gz")
    content = bytearray(archive.read_bytes())
    content[-6] ^= 255
    archive.write_bytes(content)
    with pytest.raises(DataError, match="cut off or damaged"):
        open_source(archive)


def test_links_in_an_archive_are_read(image_folder, tmp_path) -> None:
    shutil.copytree(image_folder, tmp_path / "photos")
    red = tmp_path / "photos" / "red"
    (red / "hard.jpg").hardlink_to(red / "photo 1.jpg")
    (red / "soft.jpg").symlink_to("photo 1.jpg")
    (red / "gone.jpg").symlink_to("/etc/hostname")
    prepared = store.prepare(open_source(pack(tmp_path / "photos", tmp_path / "photos.tar.gz")))
    rows = {prepared.rows[f"photos/red/{name}.jpg"] for name in ("hard", "soft", "photo 1")}
    assert len(rows) == 1
    assert prepared.skipped == {"photos/red/gone.jpg": "it links to a file that is not in the archive"}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_damage_in_compressed_members_is_named(tmp_path, method) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as file:
        for label in ("red", "green"):
            for number in range(2):
                buffer = io.BytesIO()
                coloured_image(label, number).save(buffer, "BMP")
                file.writestr(f"{label}/{number}.bmp", buffer.getvalue())
    content = bytearray((tmp_path / "a.zip").read_bytes())
    at = content.index(b"red/1.bmp") + 200
    content[at : at + 40] = bytes(40)
    (tmp_path / "a.zip").write_bytes(content)
    ((path, reason),) = store.prepare(open_source(tmp_path / "a.zip")).skipped.items()
    assert path == "red/1.bmp"
    assert reason.startswith("damaged in the archive")


def test_names_as_other_programs_write_them(tmp_path) -> None:
    buffer = io.BytesIO()
    coloured_image("red", 0).save(buffer, "PNG")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("photos\\a\\1.png", buffer.getvalue())
        file.writestr("./photos/b/1.png", buffer.getvalue())
        file.writestr("README.txt", "how these were made")
    source = open_source(tmp_path / "a.zip")
    assert [image.path for image in source.images] == ["photos/a/1.png", "photos/b/1.png"]
    assert len(store.prepare(source).rows) == 2


@pytest.mark.parametrize("ending", ["zip", "tar", "tar.gz"])
def test_files_that_are_not_archives(tmp_path, ending) -> None:
    archive = tmp_path / f"photos.{ending}"
    for content in (b"", b"<html>Sign in to download</html>"):
        archive.write_bytes(content)
        with pytest.raises(DataError, match="cannot read the archive"):
            open_source(archive)


@pytest.mark.parametrize("name", ["../evil/a.png", "/evil/a.png", "photos/../../evil.png"])
@pytest.mark.parametrize("ending", ["zip", "tar"])
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path, name, ending) -> None:
    buffer = io.BytesIO()
    coloured_image("red", 0).save(buffer, "PNG")
    archive = tmp_path / f"a.{ending}"
    if ending == "zip":
        with zipfile.ZipFile(archive, "w") as file:
            file.writestr("photos/red/a.png", buffer.getvalue())
            file.writestr(name, buffer.getvalue())
    else:
        with tarfile.open(archive, "w") as file:
            for each in ("photos/red/a.png", name):
                member = tarfile.TarInfo(each)
                member.size = len(buffer.getvalue())
                file.addfile(member, io.BytesIO(buffer.getvalue()))
    with pytest.raises(DataError, match="a path out of the archive; do not trust"):
        open_source(archive)
    assert [path.name for path in tmp_path.rglob("*")] == [archive.name]


def test_what_macs_put_into_archives_is_ignored(image_folder, tmp_path) -> None:
    shutil.copytree(image_folder, tmp_path / "photos")
    (tmp_path / "__MACOSX" / "photos" / "red").mkdir(parents=True)
    (tmp_path / "__MACOSX" / "photos" / "red" / "._photo 0.jpg").write_bytes(b"x")
    archive = pack(tmp_path, tmp_path.parent / f"{tmp_path.name}.zip", "")
    assert len(open_source(archive).images) == 120


def test_an_encrypted_image_is_named(image_folder, tmp_path) -> None:
    archive = pack(image_folder, tmp_path / "a.zip")
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02")
    while b".jpg" not in content[at + 46 : at + 46 + content[at + 28]]:
        at = content.index(b"PK\x01\x02", at + 1)
    content[at + 8] |= 1
    archive.write_bytes(content)
    ((path, reason),) = store.prepare(open_source(archive)).skipped.items()
    assert path.endswith(".jpg")
    assert "encrypted" in reason


def test_a_damaged_member_is_skipped_by_name(image_folder, tmp_path) -> None:
    archive = pack(image_folder, tmp_path / "a.zip")
    content = bytearray(archive.read_bytes())
    at = content.index(b"photos/red/photo 5.jpg") + 100
    content[at : at + 20] = bytes(20)
    archive.write_bytes(content)
    assert list(store.prepare(open_source(archive)).skipped) == ["photos/red/photo 5.jpg"]


def test_real_archive() -> None:
    source = open_source(shared_data("cifar10_jpeg.zip"))
    assert len(source.images) == 60_000
    assert len(source.classes) == 10
    assert [len(source.in_split(name)) for name in ("train", "test")] == [50_000, 10_000]


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_member_that_is_longer_than_it_claims_is_not_unpacked_whole(kind, tmp_path) -> None:
    """The header says 100 bytes; unpacked it has 240 MB."""
    path = tmp_path / "lies.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        with archive.open("cats/a.png", "w") as member:
            for _ in range(60):
                member.write(bytes(4_000_000))
        archive.getinfo("cats/a.png").file_size = 100
    zipped = Zip(path)
    tracemalloc.start()
    with pytest.raises(ImageError, match="damaged in the archive"):
        zipped.content("cats/a.png")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200_000_000, "bzip2 unpacks its smallest piece to this"
    assert zipped.size("cats/a.png") == 100


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_come_out_as_they_went_in(kind, tmp_path) -> None:
    content = np.random.default_rng(0).bytes(100_000) + bytes(3_000_000)
    with zipfile.ZipFile(tmp_path / "whole.zip", "w", kind) as archive:
        archive.writestr("cats/a.png", content)
        archive.writestr("cats/empty.png", b"")
    zipped = Zip(tmp_path / "whole.zip")
    assert zipped.content("cats/a.png") == content
    assert zipped.content("cats/a.png", 500) == content[:500]
    assert zipped.content("cats/empty.png") == b""


def test_detours_in_the_names_of_members_lose_no_image(tmp_path) -> None:
    """As of "tar cf x.tar ././cat dog/./ dog//b.png"."""
    image = make_tree(tmp_path / "data", "a.png") / "a.png"
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("././cat/a.png", "cat/b.png", "dog/./a.png", "dog//b.png"):
            tar.add(image, name)
    source = open_source(tmp_path / "x.tar")
    assert [each.path for each in source.images] == ["cat/a.png", "cat/b.png", "dog/a.png", "dog/b.png"]
    assert {read() for _, read in source.reader.each([each.path for each in source.images])} == {image.read_bytes()}
