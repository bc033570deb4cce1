"""A Workato to develop against without an account.

It serves the connection endpoints of the developer API with their quotas, an OAuth consent page, and control
routes below ``/sandbox/`` that seed, break and watch it. Its state is in memory. ``GUESSES.md`` lists what is
guessed about the real service.

Its packages, each importing only from those above it:

- ``traffic``: operations, quotas and the request log;
- ``workspace``: connections, folders and the rules they follow;
- ``faults``: the faults and their effects;
- ``web``: routes, pages and what every request passes.

``client`` starts and steers a sandbox from Python, and imports none of them.
"""
