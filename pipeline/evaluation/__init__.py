"""How good is a model, and how certain is that? Arrays in, values out."""
