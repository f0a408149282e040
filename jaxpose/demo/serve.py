"""The page on the network: its address, its files, its end."""

import ipaddress
import os
import signal
import socket
import time
from collections.abc import Callable
from typing import Any

from jaxpose.demo.guard import Guard
from jaxpose.demo.models import DemoModels
from jaxpose.demo.page import build, gradio, theme_and_style
from jaxpose.demo.temp_files import sweep
from jaxpose.errors import InputError

_SWEEP_EVERY = 20.0  # seconds
_MOST_VISITORS = 100


def serve(models: DemoModels, host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serves the page until Ctrl-C or a signal to end.

    Args:
      models: the models, of which the first is loaded.
      host, port: address to listen on.
      ready: called with the page's address once it is served.

    Raises:
      InputError: Gradio is not installed, or the address cannot be used.
    """
    os.environ |= {"GRADIO_TEMP_DIR": str(models.folder), "GRADIO_ANALYTICS_ENABLED": "False"}
    gradio()
    check_free(host, port)
    page = build(models)
    _end_by_signal()
    try:
        _launch(page, models, host, port)
        ready(page.local_url)
        while True:
            time.sleep(_SWEEP_EVERY)
            sweep(models.folder, models.limits.kept_seconds)
    finally:
        page.close(verbose=False)


def is_local(host: str) -> bool:
    """True if only this machine reaches the host."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def check_free(host: str, port: int) -> None:
    """Checks that the address can be listened on.

    Raises:
      InputError: the port is taken, with one that is not; no such host; no right to.
    """
    fault = _fault(host, port)
    if fault is None:
        return
    if not isinstance(fault, socket.gaierror):
        for other in range(max(port, 1023) + 1, min(max(port, 1023) + 100, 65536)):
            if _fault(host, other) is None:
                raise InputError(
                    f"port {port} of {host} cannot be used ({fault.strerror}); "
                    f"--port {other} is free"
                )
    raise InputError(f"nobody can listen on {host}, port {port}: {fault.strerror}")


def _fault(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _launch(page: Any, models: DemoModels, host: str, port: int) -> None:
    from starlette.middleware import Middleware

    limits = models.limits
    guard = Middleware(Guard, folder=models.folder, limits=limits)
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        inbrowser=False,
        quiet=True,
        prevent_thread_lock=True,
        show_error=False,
        max_file_size=limits.upload_bytes,
        state_session_capacity=_MOST_VISITORS,
        app_kwargs={"middleware": [guard]},
        footer_links=[],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        **theme_and_style(),
    )


def _end_by_signal() -> None:
    """Makes SIGTERM end the page as Ctrl-C does, with its files removed."""

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
