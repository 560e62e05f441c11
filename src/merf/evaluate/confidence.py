"""How sure a model says it is: confidences stated in the response, or read off what it would state.

"Thinking Out Loud: Do Reasoning Models Know When They're Right?", arXiv 2504.06564. There a confidence is asked for and
parsed; not every model can be asked. So it can also be read: the response is continued with an opened confidence tag,
and the confidence is the mean of 0.0, 0.1 … 1.0 by the likelihood the model gives them there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import softmax

from merf.core.response import Array, Responses
from merf.rules.calibration import Calibrated

STATEMENTS = tuple(f"{tenths / 10:.1f}" for tenths in range(11))


def stated(responses: Responses, tag: str = "confidence") -> Array:
    """The number from 0 to 1 that each response states [N]; NaN unless it states exactly one."""
    rule = Calibrated(tag)
    found = [rule.confidence(response) for response in responses]
    return np.array([np.nan if each is None else each for each in found], np.float64)


def read(responses: Responses, policy: Any, tag: str = "confidence") -> Array:
    """What the model would state [N]; NaN for responses that were cut off. They need their recorded tokens."""
    rows = [i for i, response in enumerate(responses) if response.finished and response.extras.get("ids")]
    opened = policy.tokenize(f"<{tag}>")
    contexts = []
    for i in rows:
        ids = responses[i].extras["ids"]
        written = ids[:-1] if ids[-1] in policy.stops else ids
        contexts.append([*responses[i].extras["prompt_ids"], *written, *opened])
    options = [policy.tokenize(text) for text in STATEMENTS]
    asked = [context for context in contexts for _ in options]
    logprobs = policy.logprobs(asked, options * len(contexts)) if contexts else []
    sums = np.array([row.sum() for row in logprobs]).reshape(-1, len(options))
    found = np.full(len(responses), np.nan)
    found[rows] = softmax(sums, axis=1) @ np.array([float(text) for text in STATEMENTS]) if rows else found[rows]
    return found
