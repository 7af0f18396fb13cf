"""Resources to their one representation, and representations to bytes. Pure.

The only place that writes `_links` and `_embedded` (CONTRACT, sections 2 to 4). A Report and an Operation depend on
neither who asks nor when: the bytes of a notification are the bytes of a GET.
"""

from tocsin.hal.representation import Hal

__all__ = ["Hal"]
