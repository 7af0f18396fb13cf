"""From an appended event to a receiver that has it.

`policy`, `endpoint`, `address`, `signing` and `outcome` are pure: they decide. `sender` owns the sockets,
`worker` the loop that lets the one decide and the other do.
"""
