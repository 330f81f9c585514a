"""What may be deleted, and never what a registered version needs: `pipeline clean`."""
