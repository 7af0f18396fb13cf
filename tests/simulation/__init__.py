"""The real worker, decision core and storage statements, under a clock, receivers and faults that one seed decides."""
