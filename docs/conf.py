"""Settings of the documentation: `sphinx-build -W --keep-going docs OUT`."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

import rnn_fast
from rnn_fast.cli import parser

project = html_title = "rnn_fast"
author = "rnn_fast developers"
release = version = rnn_fast.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
templates_path = ["_templates"]
exclude_patterns = ["_templates"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 2

html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["site.css"]
smartquotes = False  # "--data" stays as it is typed
html_show_copyright = False
html_copy_source = html_show_sourcelink = html_show_sphinx = False

default_role = "py:obj"  # `fit` in a docstring links to the method of its class
add_module_names = False
autodoc_member_order = "groupwise"  # methods, then properties
autodoc_typehints = "none"  # the sections of NumPy docstrings say the types
numpydoc_show_class_members = False  # the class template lists them
python_maximum_signature_line_length = 88


# ------------------------------------------------------------------ options of the command line


class Options(SphinxDirective):
    """Describe a command of ``rnn-fast`` and its options, read from its parser.

    The directive's argument is the name of the command: ``{options} train``.
    """

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the nodes of the description, the usage line and the options by group."""
        name = self.arguments[0]
        command = commands(parser())[name]
        usage = command.format_usage().removeprefix("usage: ").splitlines()
        lines = [str(command.description), "", f".. program:: rnn-fast {name}", "", "::", ""]
        lines += [f"   {line}" for line in usage]
        for group in command._action_groups:
            if actions := [a for a in group._group_actions if a.dest != "help"]:
                lines += ["", f".. rubric:: {str(group.title).capitalize()}"]
                for action in actions:
                    lines += ["", f".. option:: {spelling(action)}", ""]
                    text = command._get_formatter()._expand_help(action)
                    lines += [f"   {' '.join(text.split())}"]
        lines += ["", str(command.epilog or "")]
        return self.parse_text_to_nodes("\n".join(lines))


def commands(top: argparse.ArgumentParser) -> dict[str, Any]:
    """Return the parsers of the commands, by name."""
    return {
        name: command
        for action in top._actions
        if isinstance(action, argparse._SubParsersAction)
        for name, command in action.choices.items()
    }


def spelling(action: argparse.Action) -> str:
    """Return an option as it is typed, such as ``--hidden H``."""
    value = "" if action.nargs == 0 else str(action.metavar or action.dest)
    return f"{', '.join(action.option_strings)} {value}".strip()


# ------------------------------------------------------------------------- every name has an entry


def public_names() -> Iterator[str]:
    """Yield the full names of all that is public: exported names, and members of their classes."""
    for module, names in ((rnn_fast, rnn_fast.__all__), (rnn_fast.tasks, vars(rnn_fast.tasks))):
        for name in names:
            thing, full_name = getattr(module, name), f"{module.__name__}.{name}"
            if module is rnn_fast or getattr(thing, "__module__", "") == module.__name__:
                yield full_name
                if inspect.isclass(thing):
                    yield from (f"{full_name}.{member}" for member in members(thing))


def members(kind: type) -> Iterator[str]:
    """Yield the names of the public methods and properties of a class of the package."""
    for name, member in inspect.getmembers(kind):
        module = getattr(member, "__module__", None) or ""
        method = inspect.isroutine(member) and module.startswith("rnn_fast")
        if not name.startswith("_") and (method or isinstance(member, property)):
            yield name


def check_entries(app: Sphinx, env: Any) -> None:
    """Warn of public names without an entry, which `-W` makes an error."""
    for name in public_names():
        if name not in env.domains["py"].objects:
            logging.getLogger(__name__).warning("no page has an entry of %s", name)


def setup(app: Sphinx) -> None:
    """Add the directive and the check."""
    app.add_directive("options", Options)
    app.connect("env-check-consistency", check_entries)
