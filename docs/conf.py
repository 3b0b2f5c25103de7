"""Settings of the documentation: `sphinx-build -W --keep-going docs OUT`."""

from __future__ import annotations

import argparse
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

import rnn_fast
from rnn_fast.cli.main import parser

project = html_title = "rnn_fast"
author = "rnn_fast developers"
release = version = rnn_fast.__version__

extensions = ["myst_parser", "numpydoc", "sphinx.ext.autodoc", "sphinx.ext.autosummary"]
templates_path = ["_templates"]
exclude_patterns = ["_templates"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 2

html_theme = "furo"
pygments_dark_style = "github-dark"
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


def of_scikit_learn(
    app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any
) -> bool | None:
    """Leave out what estimators inherit from scikit-learn, which refers to its own pages."""
    return True if (getattr(member, "__module__", None) or "").startswith("sklearn.") else None


def setup(app: Sphinx) -> None:
    """Add the directive and the filter."""
    app.add_directive("options", Options)
    app.connect("autodoc-skip-member", of_scikit_learn)
