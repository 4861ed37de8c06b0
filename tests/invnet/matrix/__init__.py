"""Every reconstructor with every physics on real photographs: the cases, and the table of them.

``python -m tests.invnet.matrix`` measures the table and writes ``docs/explanation/matrix.json``, cell by cell, so that
an interrupted run goes on where it ended; then it writes ``docs/explanation/matrix.rst`` from that. The same cases,
smaller, are the tests of ``test_every_physics.py``.

A new reconstructor takes one line in `recipes.RECIPES`, a new physics one in `scenes.OPERATORS`.
"""
