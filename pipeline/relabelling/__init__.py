"""A person looks at doubtful labels, one at a time, and says what is right."""
