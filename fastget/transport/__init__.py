"""HTTP alone: connections, TLS, proxies and the pool that keeps connections alive."""
