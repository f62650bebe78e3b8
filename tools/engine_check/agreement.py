"""How far an engine's logits are from Vernier's, over the tokens of a text."""

import math

import numpy as np

EQUAL = 1e-9  # the largest KL divergence, in nats, of equal arithmetic in float32


def _log_softmax(logits):
    logits = logits.astype(np.float64)
    logits = logits - logits.max(-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def _significant(number, digits=3):
    return float(f"%.{digits}g" % number)


def agreement(engine, vernier, ids):
    """Compares logits [B, S - 1, V] (S and a larger V are cut) for token ids [B, S].

    kl: mean KL(Vernier || engine) in nats; equal: share of tokens where it is below EQUAL; top1:
    share of equal arg max; nll_*: mean negative log-likelihood of the text.
    """
    length, width = engine.shape[1:]
    p = _log_softmax(vernier[:, :length, :width])
    q = _log_softmax(engine)
    divergence = (np.exp(p) * (p - q)).sum(-1)
    text = ids[:, 1:length + 1, None]
    return {
        "kl": _significant(divergence.mean()),
        "equal": float((divergence < EQUAL).mean()),
        "top1": float((p.argmax(-1) == q.argmax(-1)).mean()),
        "nll_engine": _significant(-np.take_along_axis(q, text, -1).mean(), 6),
        "nll_vernier": _significant(-np.take_along_axis(p, text, -1).mean(), 6),
    }


def perplexity(nll):
    return math.exp(nll)
