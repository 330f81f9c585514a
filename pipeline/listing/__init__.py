"""What a source holds: its files, wherever they are, and the words that their names are made of."""
