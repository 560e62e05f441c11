"""Attack a rulebook before a policy does.

>>> from merf import Correct, Format, Rulebook
>>> from merf.audit import audit
>>> from merf.tasks import get
>>> found = audit(Rulebook(Correct(), Format()), get("knights-knaves"), problems=4)
>>> found.passed, found.holes
(True, ())
"""

from merf.audit.suite import Audit, Hole, audit

__all__ = ["Audit", "Hole", "audit"]
