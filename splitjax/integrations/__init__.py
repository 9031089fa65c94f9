"""Recorders for programs in other frameworks; import the one for yours.

`splitjax.integrations.torch` needs PyTorch, which splitjax does not install.
"""

__all__: list[str] = []
