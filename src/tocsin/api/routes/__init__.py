"""One module for each resource: its request models and its routes."""
