from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision import tv_tensors
from torchvision.transforms.v2 import functional as F

from mmmc.data.transforms import Augmentation, _adjust_contrast
from mmmc.errors import InputError

NO_BOXES, NO_LABELS = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
PLAIN = Augmentation(short=(60,), long=100, flip=0.0)


def noise(height, width):
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def white_on_black(height, width, box):
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    x1, y1, x2, y2 = box
    image[:, y1:y2, x1:x2] = 255
    return image


def box_of(image):
    """The white rectangle, from the pixels alone."""
    rows, columns = (image[0] > 127).any(1).nonzero(), (image[0] > 127).any(0).nonzero()
    return torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], dtype=torch.float32)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("short", ()),
        ("short", (0,)),
        ("short", (800, 1400)),
        ("long", 799),
        ("scale_range", (0.0, 1.0)),
        ("scale_range", (1.5, 1.0)),
        ("scale_range", (1.0, float("inf"))),
        ("flip", 1.5),
        ("flip", float("nan")),
        ("crop", -0.1),
        ("crop_scale", (0.0, 1.0)),
        ("crop_scale", (0.5, 1.1)),
        ("min_visible", 0.0),
        ("brightness", 1.1),
        ("contrast", -1.0),
        ("saturation", 2.0),
        ("hue", 0.6),
    ],
)
def test_augmentation_refuses(name, value):
    culprit = "long" if (name, value) == ("short", (800, 1400)) else name
    with pytest.raises(InputError, match=rf"Augmentation: {culprit} = .*Allowed: "):
        Augmentation(**{name: value})


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**64 - 1), flip=st.sampled_from([0.0, 1.0]), crop=st.sampled_from([0.0, 1.0]))
def test_box_follows_the_pixels(seed, flip, crop):
    box = [50, 40, 110, 70]
    augment = Augmentation(
        short=(60, 90, 130),
        long=200,
        scale_range=(0.7, 1.5),
        flip=flip,
        crop=crop,
        crop_scale=(0.6, 1.0),
        min_visible=0.01,
    )
    boxes = torch.tensor([box], dtype=torch.float32)
    image, boxes, labels, crowd, scale = augment(
        white_on_black(100, 150, box), boxes, torch.tensor([3]), boxes.clone(), seed
    )
    assert labels.tolist() == [3]
    assert torch.equal(boxes, crowd)
    assert (boxes[0] - box_of(image)).abs().max() <= 1
    if not crop:
        assert scale == pytest.approx((image.shape[2] / 150, image.shape[1] / 100))


def test_geometry_agrees_with_torchvision():
    canvas = (100, 150)
    boxes = torch.rand(20, 2, 2, generator=torch.Generator().manual_seed(1)).sort(1).values.flatten(1)
    boxes = boxes * torch.tensor([150.0, 100, 150, 100])
    augment = Augmentation(short=(77,), long=200, flip=1.0)
    image, ours, _, _, _ = augment(noise(*canvas), boxes, torch.zeros(20, dtype=torch.long), boxes, 0)
    theirs = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=canvas)
    theirs = F.horizontal_flip(F.resize(theirs, [77, 116]))
    assert torch.allclose(ours, theirs.as_subclass(torch.Tensor), atol=1e-4)
    assert torch.equal(image, F.horizontal_flip(F.resize(noise(*canvas), [77, 116])))


def test_crop_ignores_what_it_cuts_off():
    augment = Augmentation(short=(50,), long=50, flip=0.0, crop=1.0, crop_scale=(0.5, 0.5), min_visible=0.5)
    # Strips of 10 px that cover a picture of 100 × 100, so that every crop of 50 × 50 at full scale cuts some.
    boxes = torch.tensor([[0.0, y, 100, y + 10] for y in range(0, 100, 10)])
    tall = torch.tensor([[x, 0.0, x + 10, 100] for x in range(0, 100, 10)])
    seen = 0
    for seed in range(20):
        image, kept, labels, crowd, scale = augment(noise(100, 100), boxes, torch.arange(10), tall, seed)
        assert image.shape == (3, 50, 50)
        assert scale == (1.0, 1.0)
        from_tall, from_boxes = crowd[crowd[:, 3] - crowd[:, 1] > 10], crowd[crowd[:, 3] - crowd[:, 1] <= 10]
        # A crowd region is cut, never dropped while anything of it is left: the strips still tile the crop.
        for tiles in (from_tall, torch.cat([kept, from_boxes])):
            sides = (tiles[:, 2:] - tiles[:, :2]).prod(1)
            assert sides.min() > 0
            assert sides.sum() == 50 * 50
        # Half of each strip is outside left or right; one that is cut above or below too shows less than half.
        heights = kept[:, 3] - kept[:, 1]
        assert (heights == 10).all()
        assert (from_boxes[:, 3] - from_boxes[:, 1] < 10).all()
        assert len(kept) == len(labels)
        seen += len(from_boxes)
    assert seen > 0


def test_uncut_boxes_stay_at_min_visible_one():
    augment = Augmentation(short=(50,), long=50, flip=0.0, crop=1.0, crop_scale=(0.9, 0.9), min_visible=1.0)
    corners = 10 + 60 * torch.rand(50, 2, generator=torch.Generator().manual_seed(0))
    boxes = torch.cat([corners, corners + 9.7], dim=1)  # not whole numbers: their areas round as they are moved
    for seed in range(30):
        assert len(augment(noise(100, 100), boxes, torch.arange(50), NO_BOXES, seed)[1]) == 50


EVERYTHING = Augmentation(
    short=(40, 50, 60),
    long=100,
    scale_range=(0.8, 1.2),
    crop=0.5,
    brightness=0.3,
    contrast=0.3,
    saturation=0.3,
    hue=0.1,
)


def test_pure_in_the_seed_and_silent_to_the_global_generator():
    boxes = torch.tensor([[10.0, 10, 30, 30]])
    torch.manual_seed(5)
    before = torch.get_rng_state()
    results = [EVERYTHING(noise(60, 80), boxes, torch.tensor([1]), NO_BOXES, seed) for seed in (3, 4, 3)]
    assert torch.equal(torch.get_rng_state(), before)
    first, other, again = results
    assert all(torch.equal(a, b) for a, b in zip(first[:4], again[:4], strict=True))
    assert first[4] == again[4]
    assert first[0].shape != other[0].shape or not torch.equal(first[0], other[0])


def test_each_change_draws_for_itself():
    """A change that is switched on leaves the draws of the others as they were."""
    for seed in range(20):
        plain = Augmentation(short=(40, 50, 60), long=100)(noise(60, 80), NO_BOXES, NO_LABELS, NO_BOXES, seed)
        gray = Augmentation(short=(40, 50, 60), long=100, brightness=0.3, hue=0.1)
        coloured = gray(noise(60, 80), NO_BOXES, NO_LABELS, NO_BOXES, seed)
        assert coloured[0].shape == plain[0].shape
        assert not torch.equal(coloured[0], plain[0])
        flat = white_on_black(60, 80, (0, 0, 20, 60))  # left side white: shows whether it was flipped
        flipped = [
            bool(box_of(augment(flat, NO_BOXES, NO_LABELS, NO_BOXES, seed)[0])[0] > 0)
            for augment in (
                Augmentation(short=(60,), long=80),
                Augmentation(short=(60,), long=80, crop_scale=(0.9, 1.0)),
            )
        ]
        assert flipped[0] == flipped[1]


def test_draws_follow_their_probabilities():
    augment = Augmentation(short=(10, 20), long=40, flip=0.5, crop=0.25, crop_scale=(0.5, 0.5))
    image = white_on_black(20, 20, (0, 0, 2, 20))
    box = torch.tensor([[0.0, 0, 20, 20]])
    small = flipped = cropped = 0
    for seed in range(600):
        changed, _, _, crowd, _ = augment(image, NO_BOXES, NO_LABELS, box, seed)
        small += changed.shape[1] == 10
        cut = augment(image, box, torch.tensor([0]), NO_BOXES, seed)[1].shape[0] == 0
        cropped += cut
        flipped += bool((changed[0, :, -1] > 127).all())
        assert len(crowd) == 1
    assert abs(small / 600 - 0.5) < 0.08
    assert abs(cropped / 600 - 0.25) < 0.07
    assert 0.35 < flipped / 600 < 0.55  # of the cropped ones only those with the left edge show it


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
def test_colour_changes_vary_within_their_range(name):
    image = noise(60, 80)
    augment = Augmentation(short=(60,), long=80, flip=0.0, **{name: 0.2})
    ends = {
        "brightness": [F.adjust_brightness(image, factor) for factor in (0.8, 1.2)],
        "contrast": [F.adjust_contrast(image, factor) for factor in (0.8, 1.2)],
        "saturation": [F.adjust_saturation(image, factor) for factor in (0.8, 1.2)],
        "hue": [F.adjust_hue(image, shift) for shift in (-0.2, 0.2)],
    }[name]
    limit = max((end.float() - image).abs().mean() for end in ends)
    changes = [
        (augment(image, NO_BOXES, NO_LABELS, NO_BOXES, seed)[0].float() - image).abs().mean() for seed in range(20)
    ]
    assert 0.5 * limit < max(changes) <= 1.02 * limit
    assert min(changes) < 0.3 * limit


@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.7])
def test_contrast_agrees_with_torchvision(factor):
    difference = _adjust_contrast(noise(50, 70), factor).int() - F.adjust_contrast(noise(50, 70), factor).int()
    assert difference.abs().max() <= 1


def test_no_objects_is_ordinary():
    image, boxes, labels, crowd, scale = PLAIN(noise(30, 50), NO_BOXES, NO_LABELS, NO_BOXES, 0)
    assert image.shape == (3, 60, 100)
    assert (boxes.shape, labels.shape, crowd.shape) == ((0, 4), (0,), (0, 4))
    assert scale == (2.0, 2.0)
