"""mmmc: one-stage, anchor-free object detection with minimal misalignment at minimal cost."""
