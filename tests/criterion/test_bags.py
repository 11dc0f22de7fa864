"""The losses of bags: numbers worked by hand on two levels of a picture of 32 × 32, and what they are paired with."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mmmc.assign import FCOS, MAL, FreeAnchor, ignore_crowds
from mmmc.criterion import BagCriterion, DenseCriterion
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.recipe import Recipe, WarmStart, load_recipe
from mmmc.structures import IGNORED, Prediction
from mmmc.testing import make_scene, make_target

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
"""Points 0-15 at 4, 12, 20, 28 in both directions; 16-19 at 8 and 24."""


BOXES = {0: [0, 0, 16, 16], 1: [0, 0, 16, 8], 4: [0, 0, 8, 16], 5: [0, 0, 16, 12.8], 17: [0, 0, 32, 16]}


TWO = make_target([[0, 0, 16, 16], [0, 0, 32, 16]], (32, 32), labels=[0, 1])


LOG2, LOG4 = math.log(2), math.log(4)


RULE, LOSSES = FreeAnchor(bag=3, box_factor=LOG4), BagCriterion(bag=3, box_factor=LOG4)


QUARTER = 0.25 * LOG2
"""q² · -log(1 - q) at q = 1/2."""


def prediction() -> Prediction:
    """Two classes of probability 1/2 everywhere; boxes as given, elsewhere a far one."""
    drawn = torch.tensor([[float(v) for v in BOXES.get(p, [90, 90, 99, 99])] for p in range(20)])[None]
    return Prediction(torch.zeros(1, 20, 2), drawn, torch.zeros(1, 20))


def terms(criterion: BagCriterion, said: Prediction | None = None, target=TWO, rule: FreeAnchor = RULE):  # type: ignore[no-untyped-def]
    said = said or prediction()
    losses = criterion(POINTS, said, [target], ignore_crowds(POINTS, rule(POINTS, said, [target]), [target]))
    return {name: (term.sum.item(), term.norm.item(), term.floor) for name, term in losses.terms.items()}


def test_terms_by_hand() -> None:
    """Bags of three by IoU, P = 1/2 · 4^-(1 - GIoU); all GIoUs here are the IoUs.

    Object 0: IoU 1, 0.8, 0.5 at points 0, 5, 1. P is 0.5, 0.378929, 0.25, the odds 1, 0.610122, 1/3, together
    1.943455; the mean is 1.943455 / 4.943455 = 0.393137. Object 1: IoU 1, 0.5, 0.4 at points 17, 0, 5. P is 0.5, 0.25,
    0.217638, the odds 1, 1/3, 0.278181, together 1.611514; the mean is 1.611514 / 4.611514 = 0.349454.

    Class 0: m is 1 at point 0, (0.8 - 0.6) / (1 - 0.6) = 1/2 at point 5, so q is 0 and 1/4. Class 1: m is 1 at point
    17. The other 37 of 40 have q = 1/2.
    """
    found = terms(LOSSES)
    assert found["bag"] == pytest.approx((-0.5 * (math.log(0.393137) + math.log(0.349454)), 2.0, 1.0), rel=1e-5)
    background = 37 * QUARTER + 0.25**2 * -math.log(0.75)
    assert found["background"] == pytest.approx((0.5 * background, 6.0, 3.0), rel=1e-5)


def test_options_by_hand() -> None:
    """From a threshold of 0.7 on, m is (0.8 - 0.7) / 0.3 = 1/3 at point 5; from 0.9 on, 0."""
    plain = terms(LOSSES)
    shifted = terms(replace(LOSSES, alpha=0.2))
    assert shifted["bag"][0] == pytest.approx(0.4 * plain["bag"][0])
    assert shifted["background"][0] == pytest.approx(1.6 * plain["background"][0])
    third = 37 * QUARTER + (1 / 3) ** 2 * -math.log(2 / 3)
    assert terms(replace(LOSSES, threshold=0.7))["background"][0] == pytest.approx(0.5 * third, rel=1e-5)
    assert terms(replace(LOSSES, threshold=0.9))["background"][0] == pytest.approx(0.5 * 38 * QUARTER, rel=1e-5)
    cubed = 37 * 0.125 * LOG2 + 0.25**3 * -math.log(0.75)
    assert terms(replace(LOSSES, gamma=3.0))["background"][0] == pytest.approx(0.5 * cubed, rel=1e-5)


def test_the_best_box_of_an_object_belongs_to_it_however_little_beyond_the_threshold() -> None:
    """The best IoU with object 0 is 0.8 without point 0: m is 1 at point 5. At 0.8 or above as threshold nothing is."""
    said = prediction()
    said.boxes[0, 0] = said.boxes[0, 15]
    assert terms(LOSSES, said)["background"][0] == pytest.approx(0.5 * 38 * QUARTER, rel=1e-5)
    assert terms(replace(LOSSES, threshold=0.85), said)["background"][0] == pytest.approx(0.5 * 39 * QUARTER, rel=1e-5)


def test_of_several_objects_of_a_class_the_highest_counts() -> None:
    """Both of class 0: point 5 has m 1/2 by one and 0 by the other, points 0 and 17 have 1."""
    target = replace(TWO, labels=torch.tensor([0, 0]))
    background = 37 * QUARTER + 0.25**2 * -math.log(0.75)
    for each in (target, replace(target, boxes=target.boxes.flip(0))):
        assert terms(LOSSES, target=each)["background"][0] == pytest.approx(0.5 * background, rel=1e-5)


def test_padding_is_background_and_nobodys_best_box() -> None:
    """The points at x = 20 and beyond are padding: point 2 predicts object 0 perfectly there, in vain.

    Without point 0, the best IoU with it in the picture is 0.8 at point 5, where m is 1; the best with object 1 is 0.4.
    """
    said = prediction()
    said.boxes[0, 2], said.boxes[0, 0] = said.boxes[0, 0].clone(), said.boxes[0, 15]
    said.boxes[0, 3] = math.nan
    target = replace(TWO, size=(32, 17))
    assert terms(LOSSES, said, target)["background"][0] == pytest.approx(0.5 * 39 * QUARTER, rel=1e-5)


def test_ignored_points_take_no_part() -> None:
    """The crowd holds points 14, 15, 19; no bag does. Point 15 predicts object 0, and is not its best box."""
    target = replace(TWO, crowd=torch.tensor([[17.0, 17.0, 32.0, 32.0]]))
    said = prediction()
    plain = terms(LOSSES, said)
    said.boxes[0, 15] = said.boxes[0, 0]
    said.boxes[0, 0] = said.boxes[0, 12]
    inputs = [value.clone().requires_grad_() for value in (said.logits, said.boxes, said.quality)]
    said = Prediction(*inputs)
    assignment = ignore_crowds(POINTS, RULE(POINTS, said, [target]), [target])
    ignored = (assignment.gt[0] == IGNORED).nonzero().flatten().tolist()
    assert ignored == [10, 11, 14, 15, 19]
    losses = LOSSES(POINTS, said, [target], assignment)
    # m is 1 at point 5 for class 0 and at 17 for class 1.
    assert losses["background"].sum.item() == pytest.approx(0.5 * (40 - 10 - 2) * QUARTER, rel=1e-5)
    assert plain["background"][0] > losses["background"].sum.item()
    losses.total().backward()
    for value in inputs:
        assert value.grad is not None
        assert not value.grad[0, ignored].any()


def test_nothing_but_the_share_of_the_background_without_an_object() -> None:
    """All 40 are background, divided by one bag; every output has a gradient, the boxes' and the quality's are 0."""
    inputs = [
        value.clone().requires_grad_() for value in vars(prediction()).values() if isinstance(value, torch.Tensor)
    ]
    said, target = Prediction(*inputs), make_target([], (32, 32))
    losses = LOSSES(POINTS, said, [target], RULE(POINTS, said, [target]))
    assert losses.total().item() == pytest.approx(0.5 * 40 * QUARTER / 3)
    losses.total().backward()
    assert [value.grad is not None and bool(value.grad.any()) for value in inputs] == [True, False, False]
    assert all(value.grad is not None for value in inputs)


def test_an_object_without_a_bag_adds_nothing_to_the_bags() -> None:
    """No point lies in the third object."""
    third = make_target([*TWO.boxes.tolist(), [13.0, 13, 15, 15]], (32, 32), labels=[0, 1, 1])
    two, three = terms(LOSSES), terms(LOSSES, target=third)
    assert three["bag"] == pytest.approx((two["bag"][0], 3.0, 1.0))
    assert three["background"] == pytest.approx((two["background"][0], 9.0, 3.0))


@pytest.mark.parametrize("logit", [-200.0, 200.0])
def test_certain_scores_stay_finite(logit: float) -> None:
    """Right or wrong beyond what float32 tells from 0 and 1, with perfect boxes and with far ones."""
    inputs = [
        torch.full((1, 20, 2), logit).requires_grad_(),
        prediction().boxes.requires_grad_(),
        torch.zeros(1, 20).requires_grad_(),
    ]
    said = Prediction(*inputs)
    losses = LOSSES(POINTS, said, [TWO], RULE(POINTS, said, [TWO]))
    total = losses.total()
    total.backward()
    assert total.isfinite()
    assert all(value.grad is not None and value.grad.isfinite().all() for value in inputs)
    if logit < 0:
        # P is e^-200 · 4^-(1 - GIoU) of each: no probability that is 0, whose logarithm would be cut off.
        assert losses["bag"].sum.item() == pytest.approx(200, abs=2)


def test_a_box_that_is_no_number_beyond_all_bags_does_not_reach_them() -> None:
    """The background meets it and says so; the bags' gradient is finite, and none at that point."""
    said = prediction()
    said.boxes[0, 15] = math.nan
    said.boxes.requires_grad_()
    rule, criterion = FreeAnchor(), BagCriterion()
    losses = criterion(POINTS, said, [TWO], rule(POINTS, said, [TWO]))
    (gradient,) = torch.autograd.grad(losses["bag"].sum, said.boxes)
    assert gradient.isfinite().all()
    assert not gradient[0, 15].any()
    assert not losses["background"].sum.isfinite()


def test_only_with_bags_of_the_same_options() -> None:
    BagCriterion().require(FreeAnchor(), None)
    BagCriterion(bag=40).require(MAL().at(0.7), None)
    with pytest.raises(InputError, match=r"^criterion BagCriterion: the assigner is FCOS; allowed: FreeAnchor, MAL\."):
        BagCriterion().require(FCOS(), None)
    with pytest.raises(InputError, match=r"bag is 50; allowed: 40, as the assigner's bag\."):
        BagCriterion().require(MAL(), None)
    with pytest.raises(InputError, match=r"box_factor is 2\.0; allowed: 5\.0, as the assigner's box_factor\."):
        BagCriterion(box_factor=2.0).require(FreeAnchor(), None)
    with pytest.raises(InputError, match="the assigner is FCOS"):
        Recipe(criterion=BagCriterion())
    start = WarmStart(FCOS(), criterion=DenseCriterion())
    assert Recipe(assigner=FreeAnchor(), criterion=BagCriterion(), warm_start=start).at(0, 100).assigner == FCOS()


def test_an_assignment_without_pairs() -> None:
    scene = make_scene(0)
    with pytest.raises(InputError, match="the assignment has no pairs"):
        BagCriterion()(*scene, FCOS()(*scene))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bag": 0}, "bag is 0; allowed: a finite number of at least 1"),
        ({"box_factor": -1.0}, r"box_factor is -1\.0; allowed: a finite number of at least 0"),
        ({"box_factor": math.inf}, "box_factor is inf"),
        ({"gamma": 0.5}, r"gamma is 0\.5; allowed: a finite number of at least 1"),
        ({"alpha": 1.5}, r"alpha is 1\.5; allowed: 0 to 1"),
        ({"alpha": math.nan}, "alpha is nan"),
        ({"threshold": 1.0}, r"threshold is 1\.0; allowed: 0 to below 1"),
    ],
)
def test_an_option_that_is_not_allowed(options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=f"^criterion BagCriterion: {said}"):
        BagCriterion(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["free_anchor", "mal"])
def test_the_recipes(name: str) -> None:
    """As published where points allow it; the small ones differ from `small` in the method alone."""
    one, two, small, plain = (
        load_recipe(each) for each in (f"{name}_r50_1x", f"{name}_r101_2x", f"small_{name}", "small")
    )
    assert (one.criterion, one.optimizer.clip, one.postprocess.nms) == (small.criterion, 35.0, 0.5)
    assert one.assigner == two.assigner == small.assigner == (FreeAnchor() if name == "free_anchor" else MAL())
    assert one.postprocess.score == small.postprocess.score == "class"
    fcos = load_recipe("fcos_r50_2x")
    assert (two.model.backbone, two.train, two.augmentation) == ("resnet101.tv_in1k", fcos.train, fcos.augmentation)
    method = {"model": plain.model, "assigner": plain.assigner, "criterion": plain.criterion}
    assert replace(small, **method, postprocess=plain.postprocess) == plain
    assert replace(small.model, part=None) == plain.model
