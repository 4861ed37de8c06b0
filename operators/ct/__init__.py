"""Computed tomography: projections along rays and their exact adjoints."""
