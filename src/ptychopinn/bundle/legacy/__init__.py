"""Archives of the earlier implementation, read as data: nothing that they hold is executed.

- `pickled`, `arrays`: settings and probe out of pickles, without an unpickler.
- `keras`: weights of a `.keras` file, without TensorFlow.
- `lightning`: weights of a `.pth` or a `.ckpt` file.
- `settings`: from the settings to a recipe, a probe and their scale.
- `reader`: all of it together, as a `Bundle`.
"""

from ptychopinn.bundle.legacy.reader import earlier_configs, read_earlier

__all__ = ["earlier_configs", "read_earlier"]
