"""`pipeline predict`: from what a person names to rows of answers."""
