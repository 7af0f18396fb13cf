"""What reports, operations and feedback are, and what may become of them.

Pure: no I/O, no clock, no randomness, and no import of any other part of tocsin.
"""
