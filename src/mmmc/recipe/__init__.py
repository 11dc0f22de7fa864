"""Recipes: everything that decides what a run does, as one frozen value that YAML and the command line can write."""

from mmmc.recipe.config import DataConfig, OptimizerConfig, Recipe, TrainConfig, WarmStart
from mmmc.recipe.reading import digest, from_dict, load_recipe, recipe_names, recipe_parser, to_dict, to_yaml

__all__ = [
    "DataConfig",
    "OptimizerConfig",
    "Recipe",
    "TrainConfig",
    "WarmStart",
    "digest",
    "from_dict",
    "load_recipe",
    "recipe_names",
    "recipe_parser",
    "to_dict",
    "to_yaml",
]
