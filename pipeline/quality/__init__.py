"""What is wrong with the images: copies, leakage, label conflicts, shortcuts."""
