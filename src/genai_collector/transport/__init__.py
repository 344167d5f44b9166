"""Below receivers and exporters: HTTP servers and clients, TLS, compression."""
