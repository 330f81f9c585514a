"""Any layout becomes records: path, bytes, label, split, group."""
