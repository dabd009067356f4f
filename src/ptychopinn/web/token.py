"""Who may see the page: only somebody with the token of its address."""

import hmac
from collections.abc import Callable
from typing import Any, final

from bokeh.server.auth_provider import AuthProvider
from tornado.web import RequestHandler


@final
class _Refused(RequestHandler):
    """Answers everybody who does not have the token."""

    def get(self) -> None:
        """Refuse."""
        self.set_status(403)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.finish("No valid token: open the whole address that `ptychopinn view` printed, with ?token=...\n")


@final
class Token(AuthProvider):
    """Lets in who has the token: from the address at first, and then from a cookie."""

    def __init__(self, token: str, port: int) -> None:
        self._token = token
        self._port = port
        super().__init__()

    @property
    def get_user(self) -> Callable[[Any], str | None]:
        """Who asks; None of somebody without the token."""
        return self._user

    @property
    def get_user_async(self) -> None:
        """Nothing has to be waited for."""
        return None

    @property
    def login_url(self) -> str:
        """Where others are sent."""
        return "/refused"

    @property
    def get_login_url(self) -> None:
        """The address is always the same."""
        return None

    @property
    def login_handler(self) -> type[RequestHandler]:
        """What answers there."""
        return _Refused

    @property
    def logout_url(self) -> None:
        """Nobody leaves."""
        return None

    @property
    def logout_handler(self) -> None:
        """Nobody leaves."""
        return None

    def _user(self, handler: Any) -> str | None:
        name = f"ptychopinn_{self._port}"  # cookies of one host are common to its ports
        if self._is_right(handler.get_cookie(name)):
            return "owner"
        if self._is_right(handler.get_argument("token", None)):
            if handler.request.method == "GET" and "Upgrade" not in handler.request.headers:
                handler.set_cookie(name, self._token, httponly=True, samesite="Strict")
            return "owner"
        return None

    def _is_right(self, given: str | None) -> bool:
        return given is not None and hmac.compare_digest(given.encode(), self._token.encode())
