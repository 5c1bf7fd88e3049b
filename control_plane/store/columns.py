"""Many rows in one statement: one array parameter a column, whatever the number of rows."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, Table, TableValuedAlias, bindparam, column, func


def given(table: Table) -> TableValuedAlias:
    """Rows for `table` that are given with the statement, as `parameters` makes them."""
    arrays = [bindparam(f"given_{c.name}", type_=ARRAY(c.type, dimensions=1)) for c in table.c]
    names = [column(c.name, c.type) for c in table.c]
    return func.unnest(*arrays).table_valued(*names, name="given").render_derived()


def parameters(table: Table, rows: Iterable[Any]) -> dict[str, list[Any]]:
    """The parameters of `given` for tuples in the order of the table's columns."""
    columns = list(zip(*rows, strict=True)) or [()] * len(table.c)
    return {f"given_{c.name}": list(v) for c, v in zip(table.c, columns, strict=True)}
