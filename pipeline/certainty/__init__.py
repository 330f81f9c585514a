"""How sure is an answer? Calibrated probabilities, `sure` or `unsure`, and the candidates."""
