"""The use cases: each is one transaction, or says why it is more.

A use case takes the caller first, decides with `domain`, stores with `storage`, renders with `hal`, and returns
values or rendered bytes. What the caller may not see is NotFound, what it sees but may not do is Forbidden.
"""
