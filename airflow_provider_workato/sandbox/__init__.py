"""A Workato to develop against without an account.

It serves the connection endpoints of the developer API with their quotas, a web page of the workspace, an
OAuth consent page, and a control API at ``/sandbox/`` that seeds, breaks and watches the sandbox. Its state
is in memory. ``GUESSES.md`` lists where the sandbox guesses what the real service does.

Its modules, each importing only from those above it:

- ``traffic``: operations, quotas and the request log;
- ``bodies``, ``connection``, ``providers``, ``folders``, ``workspace``: the workspace, and what is in it;
- ``calls``, ``external_changes``: what the API's calls do to it, and what people and apps do;
- ``faults``, ``exchange``, ``effects``: faults and their effects;
- ``sandbox``: the state of a running sandbox;
- ``api``, ``control``, ``pages``: the routes;
- ``middleware``, ``server``, ``cli``: from a command to a request.

``client`` starts and controls a sandbox from Python, and imports none of these modules. ``pytest_plugin``
makes a pytest fixture of it.
"""
