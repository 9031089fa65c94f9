"""Settings of the API reference, which is made from the docstrings."""

from typing import Any

project = 'splitjax'
extensions = ['sphinx.ext.autodoc', 'sphinx.ext.napoleon']
exclude_patterns = ['_build']
html_theme = 'alabaster'
html_copy_source = False
html_show_copyright = False

# Code stands between single backticks; it is a link where there is a target.
default_role = 'py:obj'
add_module_names = False
autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_typehints_description_target = 'documented_params'
autodoc_typehints_format = 'short'
napoleon_numpy_docstring = False
napoleon_attr_annotations = False

# How docstrings begin that NamedTuples and flax write.
_NOT_OURS = ('Alias for field number', 'Returns a new object replacing')


def _skip(
  app: Any, what: str, name: str, obj: Any, skip: bool, options: Any
) -> bool | None:
  """Leave out docstrings that were written for no class in particular."""
  del app, what, name, options
  text = getattr(obj, '__doc__', None) or ''
  return True if text.startswith(_NOT_OURS) else skip or None


def setup(app: Any) -> None:
  """Connect the settings that are functions."""
  app.connect('autodoc-skip-member', _skip)
