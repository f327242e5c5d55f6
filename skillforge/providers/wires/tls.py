"""Certificates are read once for all clients: it takes longer than a short answer, and would hold up others'."""

from __future__ import annotations

import ssl
from functools import lru_cache


@lru_cache(maxsize=1)
def tls_context() -> ssl.SSLContext:
    """The HTTP client's own default: the system's trust store, or what ``SSL_CERT_FILE`` names."""
    import httpx2

    return httpx2.create_ssl_context()
