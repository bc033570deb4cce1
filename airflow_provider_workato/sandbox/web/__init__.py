"""The HTTP side: routes, pages and what every request passes."""
