"""A Workato to develop against without an account.

It serves the connection endpoints of the developer API with their quotas, a web page of the workspace, an
OAuth consent page, and a control API at ``/sandbox/`` that seeds, breaks and watches the sandbox. Its state
is in memory. ``GUESSES.md`` lists where the sandbox guesses what the real service does.

Its packages, each importing only from those above it:

- ``traffic``: operations, quotas and the request log;
- ``workspace``: connections, folders and the rules they follow;
- ``faults``: faults and their effects;
- ``web``: routes, pages and middleware.

``client`` starts and controls a sandbox from Python, and imports none of these packages. ``pytest_plugin``
makes a pytest fixture of it.
"""
