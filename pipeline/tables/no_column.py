"""`ingest.columns: {group: none}`: no column of the tables has the groups, or the splits, whatever the columns are called."""

from collections.abc import Collection, Mapping

from pipeline.errors import SourceError

NO_COLUMN = "none"


def unread_roles(columns: Mapping[str, str]) -> frozenset[str]:
    """Those of "split" and "group" that no column has, by `ingest.columns`."""
    return frozenset(role for role in ("split", "group") if columns.get(role) == NO_COLUMN)


def refuse_column_called_none(table: str, names: Collection[str], roles: Collection[str]) -> None:
    """Raise SourceError if a table has a column of that name, which may be meant."""
    if roles and NO_COLUMN in names:
        raise SourceError(
            f"ingest.columns.{min(roles)}: {NO_COLUMN} stands for no column, but {table} has a column that is called so. Rename the column, and name "
            "it if it is meant."
        )
