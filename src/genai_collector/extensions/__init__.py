"""What runs beside the pipelines. An extension may have `ready()` and `not_ready()`: the service
calls them when everything has started, and when shutdown begins."""
