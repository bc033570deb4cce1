"""A Workato to develop against without an account.

It serves the connection endpoints of the developer API with their quotas, an OAuth consent page, and
control routes under ``/sandbox/`` that seed, break and watch it. State is in memory. What is guessed
rather than known about the real service is listed in ``GUESSES.md`` beside this file.
"""
