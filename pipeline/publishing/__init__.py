"""What a run did, for other machines: a commit on a branch beside the checkout, its data on DVC's remote."""
