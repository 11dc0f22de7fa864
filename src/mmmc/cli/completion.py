"""`mmmc --print_completion SHELL`: a script by which a shell completes verbs, flags and values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from importlib import import_module
from typing import Any

from jsonargparse import ArgumentParser

from mmmc.errors import InputError, did_you_mean
from mmmc.recipe import recipe_names

FLAG = "--print_completion"
SHELLS = ("bash", "zsh", "tcsh")


ASKED: ContextVar[bool] = ContextVar("ASKED", default=False)
"""Whether verbs are called for nothing but their parsers."""


class ParserWanted(Exception):
    """Ends a verb that is called for nothing but its parser."""

    def __init__(self, parser: ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


def script(arguments: Sequence[str], verbs: Mapping[str, str]) -> str:
    """The script of a shell, to be loaded by it.

    Args:
        arguments: the shell's name, alone.
        verbs: of the command, with what they do.

    Raises:
        InputError: no shell, or one that is not known.
    """
    if len(arguments) != 1 or arguments[0] not in SHELLS:
        given = " ".join(arguments)
        raise InputError(f"{FLAG} is {given!r}, no shell.{did_you_mean(given, SHELLS)}")
    whole = ArgumentParser(prog="mmmc")
    subcommands = whole.add_subcommands()
    for verb, sentence in verbs.items():
        module = import_module(f"mmmc.cli.{verb}")
        actions = getattr(module, "ACTIONS", ())
        # Without a description zsh's script cannot be made.
        parser = ArgumentParser(description=sentence) if actions else parser_of(module.run, sentence)
        subcommands.add_subcommand(verb, parser, help=sentence)
        if actions:
            inner = parser.add_subcommands()
            for action in actions:
                inner.add_subcommand(action, parser_of(module.run, f"{verb} {action}", action))
    text: str = whole.get_completion_script(f"shtab-{arguments[0]}")
    return text


def parser_of(run: Callable[[Sequence[str]], Any], sentence: str, *action: str) -> ArgumentParser:
    """The parser of a verb; of one that cannot be used here, or reads its arguments by other means, an empty one."""
    token = ASKED.set(True)
    try:
        run([*action, FLAG])  # which none of them knows, so that none does anything
    except ParserWanted as wanted:
        for flag in wanted.parser._actions:
            if flag.dest == "recipe":  # a file would be allowed too; names are what nobody knows by heart
                flag.choices = recipe_names()
        return wanted.parser
    except InputError:
        pass
    finally:
        ASKED.reset(token)
    return ArgumentParser(description=sentence)
