"""The page in the browser that shows results (extra `web`): `serve` on this machine, `write_page` as one file."""

from ptychopinn.errors import MissingExtraError

try:
    import bokeh  # noqa: F401
except ImportError:
    raise MissingExtraError(
        "the page needs the package bokeh, which is not installed; run: pip install 'ptychopinn[web]'"
    ) from None

from ptychopinn.web.reader import Source
from ptychopinn.web.server import serve
from ptychopinn.web.static import write_page

__all__ = ["Source", "serve", "write_page"]
