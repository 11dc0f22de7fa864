"""Parity of detector and post-processing with torchvision's FCOS, weights copied over by name."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.detection import fcos_resnet50_fpn
from torchvision.models.detection.fcos import FCOS as TorchvisionFCOS

from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.model.detector import decode
from mmmc.model.torchvision_fcos import from_torchvision
from mmmc.postprocess import Postprocess
from mmmc.structures import Points, Prediction
from mmmc.testing import make_target

CLASSES = 7


@pytest.fixture(scope="module")
def theirs() -> TorchvisionFCOS:
    """Random weights and statistics, none of them at its trivial start, in float64."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = fcos_resnet50_fpn(weights=None, weights_backbone=None, num_classes=CLASSES).double().eval()
        for name, value in model.state_dict().items():
            if name.endswith("running_mean") or (name.endswith("bias") and "cls_logits" not in name):
                value.normal_(std=0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.dim() == 1 and name.endswith("weight"):
                value.uniform_(0.7, 1.1)
            elif name.startswith("head.") and name.endswith("weight"):
                nn.init.kaiming_normal_(value)
    return model


@pytest.fixture(scope="module")
def ours(theirs: TorchvisionFCOS) -> Detector:
    detector = Detector(ModelConfig("resnet50", weights="none"), classes=CLASSES).double().eval()
    detector.load_state_dict(from_torchvision(theirs.state_dict()))
    return detector


Outputs = tuple[Points, Prediction, dict[str, Tensor]]


@pytest.fixture(scope="module", params=[(64, 96), (96, 64)], ids=["wide", "tall"])
def outputs(request: pytest.FixtureRequest, theirs: TorchvisionFCOS, ours: Detector) -> Outputs:
    """What both say of the same picture; theirs without the resizing around it."""
    picture = torch.randint(256, (1, 3, *request.param), dtype=torch.uint8, generator=torch.manual_seed(1))
    with torch.no_grad():
        points, prediction = ours(picture)
        expected = theirs.head(list(theirs.backbone(ours.backbone.normalize(picture)).values()))
    return points, prediction, expected


def test_normalization(theirs: TorchvisionFCOS, ours: Detector) -> None:
    """Apart from the parity below: our constants are float32 and multiplied by 255."""
    picture = torch.arange(192, dtype=torch.uint8).view(1, 3, 8, 8)
    expected = theirs.transform.normalize(picture[0].double() / 255)
    torch.testing.assert_close(ours.backbone.normalize(picture)[0], expected, rtol=0, atol=1e-6)


def test_logits_and_centerness(outputs: Outputs) -> None:
    _, prediction, expected = outputs
    assert expected["cls_logits"].std() > 0.1
    assert expected["bbox_ctrness"].std() > 0.1
    torch.testing.assert_close(prediction.logits, expected["cls_logits"], rtol=0, atol=1e-6)
    torch.testing.assert_close(prediction.quality, expected["bbox_ctrness"][..., 0], rtol=0, atol=1e-6)


def test_distances_in_strides(outputs: Outputs) -> None:
    points, prediction, expected = outputs
    left_top = points.xy - prediction.boxes[..., :2]
    right_bottom = prediction.boxes[..., 2:] - points.xy
    distances = torch.cat([left_top, right_bottom], dim=2) / points.stride[:, None]
    assert expected["bbox_regression"].std() > 0.1
    torch.testing.assert_close(distances, expected["bbox_regression"], rtol=0, atol=1e-6)


def anchors(theirs: TorchvisionFCOS, points: Points) -> Tensor:
    """Torchvision's squares, at `i · stride`.

    The strides are given: its own are the padded size divided by the map's, rounded down, which is 48 for two points
    of P6 on 96 pixels.
    """
    generator = theirs.anchor_generator
    generator.set_cell_anchors(torch.float64, torch.device("cpu"))
    strides = [[torch.tensor(stride)] * 2 for stride in points.strides]
    return torch.cat(generator.grid_anchors([list(shape) for shape in points.shapes], strides))


def test_boxes_once_the_points_are_shifted(outputs: Outputs, theirs: TorchvisionFCOS) -> None:
    points, prediction, expected = outputs
    boxes = theirs.box_coder.decode(expected["bbox_regression"], anchors(theirs, points)[None])
    shift = points.stride[:, None] / 2
    torch.testing.assert_close(prediction.boxes, boxes + shift, rtol=0, atol=1e-6)


def test_detections(outputs: Outputs, theirs: TorchvisionFCOS) -> None:
    """From the same outputs and points. Theirs puts the threshold on the score, ours on the class: here it is 0."""
    points, _, shared = outputs
    size = (points.shapes[0][0] * 8, points.shapes[0][1] * 8)
    counts = [height * width for height, width in points.shapes]
    shifted = anchors(theirs, points) + points.stride[:, None] / 2
    theirs.score_thresh, theirs.topk_candidates, theirs.detections_per_img = 0.0, 50, 40
    per_level = {name: list(value.split(counts, dim=1)) for name, value in shared.items()}
    (expected,) = theirs.postprocess_detections(per_level, [list(shifted.split(counts))], [size])
    prediction = Prediction(
        logits=shared["cls_logits"],
        boxes=decode(points, shared["bbox_regression"]),
        quality=shared["bbox_ctrness"][..., 0],
    )
    postprocess = Postprocess(threshold=0.0, per_level=50, nms=theirs.nms_thresh, detections=40)
    (found,) = postprocess(points, prediction, [make_target([], size)])
    assert len(found) == 40
    torch.testing.assert_close(found.scores, expected["scores"], rtol=0, atol=1e-12)
    torch.testing.assert_close(found.boxes, expected["boxes"], rtol=0, atol=1e-9)
    assert torch.equal(found.labels, expected["labels"])


def test_every_tensor_of_the_detector_is_named(theirs: TorchvisionFCOS, ours: Detector) -> None:
    named = from_torchvision(theirs.state_dict())
    assert {name: value.shape for name, value in named.items()} == {
        name: value.shape for name, value in ours.state_dict().items()
    }
    # With a trained BatchNorm the numbers of batches are missing, and nothing else.
    with torch.device("meta"):
        trained = Detector(ModelConfig("resnet50", weights="none", frozen_norm=False), classes=CLASSES)
    assert {name.rpartition(".")[2] for name in set(trained.state_dict()) - set(named)} == {"num_batches_tracked"}


def test_other_states_are_refused(theirs: TorchvisionFCOS) -> None:
    state = theirs.state_dict()
    with pytest.raises(InputError, match=r"'roi_heads.box.weight' is no tensor of torchvision's FCOS"):
        from_torchvision({**state, "roi_heads.box.weight": torch.zeros(1)})
    with pytest.raises(InputError, match=r"nothing in it begins with 'head.regression_head.bbox_ctrness.'"):
        from_torchvision({name: value for name, value in state.items() if "bbox_ctrness" not in name})
