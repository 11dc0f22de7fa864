"""What misalignment of score and box costs, in AP, and what else a detector loses.

Only COCO's dictionaries go in (`mmmc.evaluate` says how they look), so any detector can be looked at.
"""
