from __future__ import annotations

import subprocess
import sys
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mmmc.data.batching import Sample, collate
from mmmc.data.loading import EvalLoader, TrainLoader, eval_sample, train_sample
from mmmc.data.pictures import read_picture
from mmmc.data.transforms import Augmentation, Resize
from mmmc.errors import InputError
from mmmc.structures import Batch, Target

AUGMENTATION = Augmentation(short=(24, 32, 40), long=64, crop=0.5, brightness=0.2, contrast=0.2, hue=0.1)
COUNT = 13


@dataclass(frozen=True)
class FakeObjects:
    boxes: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray


@dataclass(frozen=True)
class FakePictures:
    """Noise of varying size; picture `i` has id `100 + i` and `i % 3` objects."""

    folder: Path
    count: int = COUNT

    def __len__(self):
        return self.count

    def file(self, index):
        return self.folder / f"{index}.png"

    def size(self, index):
        return 30 + index, 50 - index

    def image_id(self, index):
        return 100 + index

    def objects(self, index):
        boxes = np.array([[2, 3, 20, 25], [10, 5, 30, 28]], dtype=np.float32)[: index % 3]
        crowd = np.array([[0, 0, 9, 9]], dtype=np.float32)[: index % 2]
        return FakeObjects(boxes, np.arange(index % 3), crowd)


@pytest.fixture
def pictures(tmp_path):
    fake, random = FakePictures(tmp_path), np.random.default_rng(0)
    for index in range(COUNT):
        Image.fromarray(random.integers(0, 256, (*fake.size(index), 3), dtype=np.uint8)).save(fake.file(index))
    return fake


def loader(pictures, **changes):
    return TrainLoader(pictures, AUGMENTATION, **{"seed": 7, "batch_size": 4, **changes})


def values(batch):
    return [batch.images] + [part for t in batch.targets for part in (t.boxes, t.labels, t.crowd)]


def assert_same(first, second):
    assert len(first) == len(second)
    for a, b in zip(first, second, strict=True):
        assert [(t.image_id, t.size, t.original_size, t.scale) for t in a.targets] == [
            (t.image_id, t.size, t.original_size, t.scale) for t in b.targets
        ]
        assert all(torch.equal(x, y) for x, y in zip(values(a), values(b), strict=True))


def ids(batches):
    return [target.image_id for batch in batches for target in batch.targets]


def flat(steps):
    return [batch for step in steps for batch in step]


def test_an_epoch_is_the_same_alone_and_after_others(pictures):
    used = loader(pictures)
    earlier = [flat(used.epoch(number)) for number in range(3)]
    assert ids(earlier[0]) != ids(earlier[1])
    assert_same(flat(used.epoch(3)), flat(loader(pictures).epoch(3)))
    assert ids(flat(loader(pictures, seed=8).epoch(3))) != ids(flat(loader(pictures).epoch(3)))


def test_workers_change_nothing(pictures):
    before = torch.get_rng_state()
    with_workers = loader(pictures, workers=2, micro=2)
    next(with_workers.epoch(0))  # an epoch that is left early must not leak into the next
    for number in (0, 1):
        assert_same(flat(with_workers.epoch(number)), flat(loader(pictures, micro=2).epoch(number)))
    assert torch.equal(torch.get_rng_state(), before)
    (pictures.folder / "5.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"^\S*5\.png: not a picture[^\n]*$"):  # no traceback of the worker in it
        list(EvalLoader(pictures, Resize(24, 64), batch_size=4, workers=1))


KILLED = """
import sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_loading import EvalLoader, FakePictures, Resize
if __name__ == "__main__":
    batches = iter(EvalLoader(FakePictures(Path(sys.argv[2])), Resize(24, 64), batch_size=2, workers=1))
    print(next(batches).images.shape, flush=True)
    time.sleep(60)
"""


@pytest.mark.usefixtures("pictures")
def test_workers_end_with_a_killed_process(tmp_path):
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    command = [sys.executable, str(script), str(Path(__file__).parent), str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline().startswith(b"torch.Size")
        process.kill()
        # The workers and their server hold the same pipe: it ends when the last of them does.
        process.communicate(timeout=120)


def test_augmentation_depends_on_epoch_and_index(pictures):
    first, other, again = (train_sample(pictures, AUGMENTATION, 5, seed=7, epoch=epoch) for epoch in (0, 1, 0))
    assert torch.equal(first.image, again.image)
    assert first.image.shape != other.image.shape or not torch.equal(first.image, other.image)


@pytest.mark.parametrize(("world", "micro"), [(1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (1, 4)])
def test_ranks_and_parts_deal_out_the_same_step(pictures, world, micro):
    whole = list(loader(pictures).epoch(2))
    ranks = [list(loader(pictures, rank=rank, world=world, micro=micro).epoch(2)) for rank in range(world)]
    assert all(len(steps) == len(whole) == COUNT // 4 for steps in ranks)
    for number, (step,) in enumerate(whole):
        for rank, steps in enumerate(ranks):
            assert [len(part) for part in steps[number]] == [4 // world // micro] * micro
            assert ids(steps[number]) == ids([step])[rank::world]
        boxes = {t.image_id: t.boxes for t in step.targets}
        for target in (t for steps in ranks for part in steps[number] for t in part.targets):
            assert torch.equal(target.boxes, boxes[target.image_id])


def test_an_epoch_visits_each_picture_at_most_once_and_drops_the_rest(pictures):
    loaded = loader(pictures)
    assert loaded.steps_per_epoch == 3
    seen = [set(loaded.indices(epoch).flatten().tolist()) for epoch in range(20)]
    assert all(len(part) == 12 for part in seen)
    assert set.union(*seen) == set(range(COUNT))


def test_a_small_set_goes_round(pictures):
    loaded = loader(replace(pictures, count=3), batch_size=8)
    assert loaded.steps_per_epoch == 1
    assert sorted(Counter(loaded.indices(0).flatten().tolist()).values()) == [2, 3, 3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 6, "world": 2, "micro": 2}, r"batch_size = 6 .*2 processes in 2 parts.*multiple of 4"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"workers": -1}, "workers = -1"),
    ],
)
def test_refused(pictures, changes, message):
    with pytest.raises(InputError, match=message):
        loader(pictures, **changes)


def test_an_empty_set_is_refused(pictures):
    with pytest.raises(InputError, match="no pictures"):
        loader(replace(pictures, count=0))


def test_a_picture_of_another_size_is_refused(pictures):
    Image.new("RGB", (40, 31)).save(pictures.file(4))
    with pytest.raises(InputError, match=r"4\.png.* 40 × 31 .*width 46 and height 34"):
        eval_sample(pictures, Resize(24, 64), 4)


def test_targets_say_how_the_picture_got_its_size(pictures):
    sample = eval_sample(pictures, Resize(24, 64), 5)  # 35 × 45, one object, one crowd region
    height, width = 24, 31  # 45 · 24 / 35 = 30.86
    assert sample.image.shape == (3, height, width)
    target = sample.target
    assert (target.image_id, target.size, target.original_size) == (105, (height, width), (35, 45))
    assert target.scale == (31 / 45, 24 / 35)
    factors = torch.tensor(target.scale * 2)
    assert torch.allclose(target.crowd / factors, torch.tensor([[0.0, 0, 9, 9]]), atol=1e-5)
    assert torch.allclose(target.boxes / factors, torch.tensor(pictures.objects(5).boxes), atol=1e-5)
    assert (target.boxes.dtype, target.labels.dtype) == (torch.float32, torch.int64)


@pytest.mark.parametrize("world", [1, 2, 5])
def test_evaluation_takes_each_picture_once(pictures, world):
    loaders = [EvalLoader(pictures, Resize(24, 64), batch_size=2, rank=rank, world=world) for rank in range(world)]
    shares = [list(one) for one in loaders]
    assert [len(one) for one in loaders] == [len(share) for share in shares]
    for rank, share in enumerate(shares):
        assert sorted(ids(share)) == list(range(100, 100 + COUNT))[rank::world]
    sizes = {target.image_id: target.size for share in shares for batch in share for target in batch.targets}
    assert sizes == {100 + index: Resize(24, 64).size(*pictures.size(index)) for index in range(COUNT)}
    assert_same(shares[0], list(loaders[0]))


def test_what_is_evaluated_does_not_depend_on_batch_mates(pictures):
    alone = {batch.targets[0].image_id: batch.images[0] for batch in EvalLoader(pictures, Resize(24, 64), batch_size=1)}
    for batch in EvalLoader(pictures, Resize(24, 64), batch_size=4):
        for image, target in zip(batch.images, batch.targets, strict=True):
            assert torch.equal(image, alone[target.image_id])


def test_evaluation_of_fewer_pictures_than_processes(pictures):
    assert list(EvalLoader(replace(pictures, count=1), Resize(24, 64), batch_size=2, rank=1, world=2)) == []


def test_collate_pads_right_and_bottom(pictures):
    small, large = eval_sample(pictures, Resize(24, 64), 0), eval_sample(pictures, Resize(33, 64), 12)
    batch = collate([small, large], (1, 2, 3), 16)
    assert isinstance(batch, Batch)
    sizes = [small.target.size, large.target.size]
    assert sizes == [(24, 40), (36, 33)]  # 42 · 33 / 38 = 36.47
    assert batch.images.shape == (2, 3, 48, 48)
    for image, (height, width), sample in zip(batch.images, sizes, (small, large), strict=True):
        assert torch.equal(image[:, :height, :width], sample.image)
        for padding in (image[:, height:], image[:, :, width:]):
            assert (padding == torch.tensor([1, 2, 3]).view(3, 1, 1)).all()
    assert batch.targets == [small.target, large.target]


@pytest.mark.parametrize("divisor", [1, 8, 32])
def test_collate_adds_no_padding_to_what_fits(divisor):
    empty = Target(torch.zeros(0, 4), torch.zeros(0, dtype=torch.long), torch.zeros(0, 4), 1, (32, 64), (32, 64))
    sample = Sample(torch.zeros(3, 32, 64, dtype=torch.uint8), empty)
    assert collate([sample], (0, 0, 0), divisor).images.shape == (1, 3, 32, 64)


def test_evaluation_shows_the_picture_itself(pictures):
    sample = eval_sample(pictures, Resize(34, 46), 4)  # its own size
    assert torch.equal(sample.image, read_picture(pictures.file(4)))
    assert sample.target.scale == (1.0, 1.0)
