"""What happens, in order: six files, each a function of files and parameters."""
