"""One of our assigners in torchvision's own FCOS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.models.detection.fcos import FCOSHead

from mmmc.assign import Assigner
from mmmc.criterion import Criterion
from mmmc.errors import InputError
from mmmc.structures import Points, Prediction, Target
from mmmc.torchvision.losses import LOSSES, losses_by_name


class AssignedHead(FCOSHead):
    """The head of torchvision's FCOS with labels by an assigner: `model.head = AssignedHead(model.head, APS())`.

    Its layers are those of the head that is given, under the same names, so files of weights stay what they are. What
    torchvision has matched itself is not looked at. Its head is not told where a picture ends in the batch, so points
    in the padding are points like others here, as they are to torchvision.

    Under autocast torchvision's squares have the type of its maps. Boxes are decoded in float32 all the same; squares
    whose sides that type has rounded are refused.

    Args:
        head: a head of torchvision's FCOS.
        assigner: which point answers for which object.
        criterion: the losses; torchvision's by default.
    """

    def __init__(self, head: FCOSHead, assigner: Assigner, criterion: Criterion = LOSSES) -> None:
        torch.nn.Module.__init__(self)  # the layers are there already
        self.box_coder = head.box_coder
        self.classification_head = head.classification_head
        self.regression_head = head.regression_head
        self.assigner = assigner
        self.criterion = criterion

    def compute_loss(
        self,
        targets: Sequence[Mapping[str, Tensor]],
        head_outputs: Mapping[str, Tensor],
        anchors: Sequence[Tensor],
        matched_idxs: Sequence[Tensor],  # noqa: ARG002 - torchvision hands it over
    ) -> dict[str, Tensor]:
        """Losses by name; called by torchvision's FCOS in training.

        Raises:
            InputError: the squares are of a type that rounds those at the far sides of the pictures.
        """
        squares = torch.stack(list(anchors))
        dtype = torch.promote_types(squares.dtype, torch.float32)
        points = points_of(squares[0].to(dtype))
        if sorted(set(points.strides)) != list(points.strides):
            raise InputError(
                f"torchvision's squares are {squares.dtype}, which rounds those at the far sides of such pictures; "
                "allowed: smaller pictures, autocast in torch.float16, none, or mmmc.torchvision.fcos."
            )
        prediction = Prediction(
            logits=head_outputs["cls_logits"],
            boxes=self.box_coder.decode(head_outputs["bbox_regression"].to(dtype), squares.to(dtype)),
            quality=head_outputs["bbox_ctrness"].squeeze(2),
        )
        # No picture ends before the last point.
        width, height = (int(side) + 1 for side in points.xy.amax(dim=0).tolist())
        known = [
            Target(
                boxes=target["boxes"],
                labels=target["labels"],
                crowd=target["boxes"].new_zeros(0, 4),
                image_id=index,
                size=(height, width),
                original_size=(height, width),
            )
            for index, target in enumerate(targets)
        ]
        return losses_by_name(points, prediction, known, self.assigner, self.criterion)


def points_of(anchors: Float[Tensor, "P 4"]) -> Points:
    """Torchvision's squares as points: their middles, and their sides as strides."""
    xy = (anchors[:, :2] + anchors[:, 2:]) / 2
    stride = anchors[:, 2] - anchors[:, 0]
    # Levels follow one another, and within one the points row by row.
    strides, counts = torch.unique_consecutive(stride, return_counts=True)
    rows = [level[:, 1] == level[0, 1] for level in xy.split(counts.tolist())]
    shapes = tuple((len(row) // int(row.sum()), int(row.sum())) for row in rows)
    return Points(
        xy=xy,
        stride=stride,
        level=torch.repeat_interleave(torch.arange(len(counts), device=xy.device), counts),
        shapes=shapes,
        strides=tuple(int(side) for side in strides.tolist()),
    )
