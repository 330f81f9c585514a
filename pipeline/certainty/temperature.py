"""The temperature that makes probabilities as good as they can be. Pure functions of arrays."""

import numpy as np
from scipy import optimize

from pipeline.certainty.scores import logarithms

LOWEST, HIGHEST = 0.1, 10.0
DECIMALS = 4


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The T from LOWEST to HIGHEST with the least log loss of softmax(log p / T), to four decimals.

    labels: int (N,). probabilities: float (N, K) of N images that the networks were not fitted to. The label counts for (N + 1) / (N + 2), so that no
    N right answers make the model sure beyond all doubt. Sources: Guo et al. (2017), On calibration of modern neural networks, ICML; for the target
    Platt (1999), Probabilistic outputs for support vector machines.
    """
    logs = logarithms(probabilities)
    count, classes = logs.shape
    of_label = (count + 1) / (count + 2)
    of_other = (1 - of_label) / max(classes - 1, 1)
    target = (of_label - of_other) * logs[np.arange(count), labels] + of_other * logs.sum(axis=1)

    def loss(log_temperature: float) -> float:
        powers = logs * np.exp(-log_temperature)
        highest = powers.max(axis=1)
        total = highest + np.log(np.exp(powers - highest[:, None]).sum(axis=1))
        return float((total - target * np.exp(-log_temperature)).mean())

    found = optimize.minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded", options={"xatol": 1e-6})
    return round(float(np.exp(found.x)), DECIMALS)
