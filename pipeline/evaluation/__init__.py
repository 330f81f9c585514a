"""How good is a model, and how sure is that? Arrays in, values out."""
