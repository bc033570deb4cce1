"""The HTTP side: routes, pages and middleware."""
