"""Files that hold many images each: arrays, Parquet, idx and the like."""
