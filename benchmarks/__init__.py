"""Every figure that the docs quote is printed by a script here."""
