"""Files that hold many images each: arrays, Parquet, idx and the like.

A reader exports `candidates(paths)`, which of a source's files it may read, by their names; and `read(files)`, a Reading of these files, by their
paths in the source, or None if their content is of another kind. SourceError: it is of this kind, but damaged, or can be understood in two ways.
"""
