"""Load generators for the gateway: an upstream stub, and clients for small requests, SSE streams and idle streams."""
