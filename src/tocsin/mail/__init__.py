"""Mails to people: how they read, how they look on the wire, and how they leave. What they tell of is `service.mails`'.

Only `smtp` opens a socket: to the host that the operator named in TOCSIN_SMTP_URL, and nowhere else. That host is not
vetted as receivers of notifications are, because no stranger chooses it.
"""
