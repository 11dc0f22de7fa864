from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from mmmc.data.pictures import from_any, read_picture
from mmmc.errors import InputError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def pixel(picture, x, y):
    assert picture.dtype == torch.uint8
    return tuple(picture[:, y, x].tolist())


def two_pixels(mode, left, right):
    image = Image.new(mode, (2, 1))
    image.putpixel((0, 0), left)
    image.putpixel((1, 0), right)
    return image


@pytest.mark.parametrize(
    ("image", "name", "left", "right"),
    [
        (two_pixels("RGB", RED, BLUE), "a.png", RED, BLUE),
        (two_pixels("L", 7, 200), "a.png", (7, 7, 7), (200, 200, 200)),
        (two_pixels("1", 0, 1), "a.png", (0, 0, 0), WHITE),
        (two_pixels("CMYK", (0, 255, 255, 0), (0, 0, 0, 255)), "a.tiff", RED, (0, 0, 0)),
        (two_pixels("I;16", 257 * 3, 65535), "a.png", (3, 3, 3), WHITE),
        (two_pixels("I;16", 257 * 3 + 129, 257 * 3 + 128), "a.tiff", (4, 4, 4), (3, 3, 3)),
        (two_pixels("I", 257 * 9, 65535), "a.tiff", (9, 9, 9), WHITE),
        (two_pixels("RGBA", (*RED, 255), (*BLUE, 0)), "a.png", RED, WHITE),
        (two_pixels("RGBA", (*RED, 51), (*BLUE, 255)), "a.png", (255, 204, 204), BLUE),
        (two_pixels("LA", (40, 255), (0, 0)), "a.png", (40, 40, 40), WHITE),
    ],
)
def test_modes(image, name, left, right, tmp_path):
    image.save(tmp_path / name)
    with Image.open(tmp_path / name) as stored:
        assert stored.mode == image.mode, "the file format does not keep the mode that is to be tested"
    picture = read_picture(tmp_path / name)
    assert picture.shape == (3, 1, 2)
    assert (pixel(picture, 0, 0), pixel(picture, 1, 0)) == (left, right)


@pytest.mark.parametrize("transparency", [None, 1, bytes([255, 0, 255])])
def test_palette(transparency, tmp_path):
    image = two_pixels("P", 0, 1)
    image.putpalette([*GREEN, *BLUE, *RED])
    options = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "a.png", **options)
    picture = read_picture(tmp_path / "a.png")
    assert pixel(picture, 0, 0) == GREEN
    assert pixel(picture, 1, 0) == (BLUE if transparency is None else WHITE)


def test_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red, green, blue = pixel(read_picture(tmp_path / "a.jpg"), 8, 8)
    assert red > 250
    assert max(green, blue) < 5


# How a camera stores the upright scene under each orientation, in words of the EXIF standard:
# the stored picture is the scene with this operation applied.
STORED_AS = {
    1: lambda scene: scene,
    2: lambda scene: scene[:, ::-1],
    3: lambda scene: scene[::-1, ::-1],
    4: lambda scene: scene[::-1],
    5: lambda scene: scene.transpose(1, 0, 2),
    6: lambda scene: np.rot90(scene, 1),  # to be turned by 90° clockwise to be seen upright
    7: lambda scene: scene.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda scene: np.rot90(scene, -1),
}


@pytest.mark.parametrize("orientation", STORED_AS)
def test_exif_orientation(orientation, tmp_path):
    scene = np.random.default_rng(0).integers(0, 256, (3, 5, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(STORED_AS[orientation](scene)))
    image.save(tmp_path / "a.png", exif=exif)
    expected = torch.from_numpy(scene).permute(2, 0, 1)
    assert torch.equal(read_picture(tmp_path / "a.png"), expected)
    with Image.open(tmp_path / "a.png") as opened:
        assert torch.equal(from_any(opened), expected)


def encoded(name, **options):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, name, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "WEBP"])
def test_truncated_file_is_named(kind, tmp_path):
    content = encoded(kind)
    path = tmp_path / "cut.picture"
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"cut\.picture.*(truncated|not a picture)"):
        read_picture(path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "TIFF"])
def test_damage_gives_a_picture_or_an_input_error(kind, tmp_path):
    content, random = encoded(kind), np.random.default_rng(0)
    path = tmp_path / "damaged.picture"
    refused = []
    for _ in range(60):
        damaged = bytearray(content)
        for position in random.integers(0, min(len(content), 600), size=3):
            damaged[position] = random.integers(256)
        path.write_bytes(damaged)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's remarks about the damage
            try:
                assert read_picture(path).dtype == torch.uint8
            except InputError as error:
                refused.append(str(error))
    assert refused
    assert all("damaged.picture" in message for message in refused)


@pytest.mark.parametrize(("content", "message"), [(b"", "not a picture"), (b"{}", "not a picture")])
def test_no_picture(content, message, tmp_path):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(InputError, match=rf"a\.jpg.*{message}"):
        read_picture(tmp_path / "a.jpg")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.jpg: there is no such file"):
        read_picture(tmp_path / "none.jpg")


@pytest.mark.parametrize(
    ("image", "message"),
    [(two_pixels("F", 0.5, 1.0), "floating-point"), (two_pixels("I", -1, 70000), r"-1\.\.70000.*0\.\.65535")],
)
def test_modes_without_8_bit_form(image, message, tmp_path):
    image.save(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=rf"a\.tiff.*{message}"):
        read_picture(tmp_path / "a.tiff")
    with pytest.raises(InputError, match=message):
        from_any(image)


def test_all_forms_agree(tmp_path):
    array = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    tensor = torch.from_numpy(array).permute(2, 0, 1)
    for form in (
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        Image.fromarray(array),
        array,
        np.asfortranarray(array)[::1],
        tensor,
        tensor.float() / 255,
        tensor.double() / 255,
    ):
        assert torch.equal(from_any(form), tensor)
    assert torch.equal(from_any(array[..., 0]), tensor[:1].expand(3, -1, -1))


def test_array_is_copied():
    array = np.zeros((2, 2, 3), dtype=np.uint8)
    picture = from_any(array)
    array[:] = 9
    assert picture.sum() == 0


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((2, 2, 3), dtype=np.float32),
        np.zeros((3, 2, 2), dtype=np.uint8),
        np.zeros((2, 2, 4), dtype=np.uint8),
        np.zeros((0, 2, 3), dtype=np.uint8),
        np.zeros(4, dtype=np.uint8),
        torch.zeros(2, 2, 3, dtype=torch.uint8),
        torch.zeros(1, 3, 2, 2),
        torch.zeros(3, 2, 2, dtype=torch.int64),
        torch.zeros(3, 0, 2),
    ],
)
def test_wrong_arrays_and_tensors(image):
    with pytest.raises(InputError, match=r"shape \(.*Allowed"):
        from_any(image)


@pytest.mark.parametrize("value", [1.01, -0.01, 255.0, float("nan")])
def test_float_out_of_range(value):
    picture = torch.full((3, 2, 2), 0.5)
    picture[0, 0, 0] = value
    with pytest.raises(InputError, match=r"0\.\.1"):
        from_any(picture)
