"""`mmmc train --help` in parts: the command's own flags, or the options of a section of the recipe."""

from __future__ import annotations

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser

from mmmc.errors import InputError, did_you_mean
from mmmc.recipe import Recipe
from mmmc.recipe.reading import SECTIONS, add_recipe, set_recipe

ALL = "all"


def train_help(own: ArgumentParser, section: str, recipe: str) -> str:
    """What `--help SECTION` prints.

    Args:
        own: a parser of the command's own flags, without those of a recipe.
        section: of a recipe, `all`, or nothing.
        recipe: whose values are told as defaults.

    Raises:
        InputError: there is no such section, or the recipe cannot be read.
    """
    if not section:
        return f"{own.format_help()}\n{_sections()}"
    if section not in (*SECTIONS, ALL):
        raise InputError(f"--help is {section!r}, no section of a recipe.{did_you_mean(section, (*SECTIONS, ALL))}")
    wanted = SECTIONS if section == ALL else (section,)
    options = ArgumentParser(usage=f"mmmc train DATA --{wanted[0]}.OPTION VALUE …", add_help=False)
    add_recipe(options, sections=wanted)
    set_recipe(options, recipe, sections=wanted)
    return f"{own.format_help() if section == ALL else ''}{options.format_help()}"


def _sections() -> str:
    told = {param.arg_name: param.description for param in parse_docstring(Recipe.__doc__ or "").params}
    width = max(map(len, told))
    listed = "\n".join(f"  {name:<{width}}  {sentence}" for name, sentence in told.items())
    return (
        f"sections of a recipe, whose options are flags such as --train.epochs 40:\n{listed}\n\n"
        "`mmmc train --help SECTION` explains a section's options and tells what the recipe (--recipe) has for them,\n"
        "`mmmc train --help all` those of all sections, `mmmc train --assigner.help APS` those of a class."
    )
