"""What the tables of a source say of its images."""
