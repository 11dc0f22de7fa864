"""`mmmc recipes`."""

from __future__ import annotations

from collections.abc import Sequence

from mmmc.cli.arguments import parse, verb_parser
from mmmc.recipe import digest, load_recipe, recipe_names, to_yaml


def run(arguments: Sequence[str]) -> None:
    """List the recipes, or print one with its defaults."""
    parser = verb_parser("recipes", "List the recipes that come with the package, or print one in full.")
    parser.add_argument("name", type=str, nargs="?", metavar="NAME", help="a recipe's name or .yaml file")
    config = parse(parser, arguments)
    if config.name is None:
        print("\n".join(recipe_names()))
    else:
        recipe = load_recipe(config.name)
        print(f"# digest {digest(recipe)}\n{to_yaml(recipe)}", end="")
