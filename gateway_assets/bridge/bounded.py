"""An answer that is read no further than it may be long."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from gateway_assets.errors import QueryError

BATCH_ROWS = 65_536


def bounded(relation: duckdb.DuckDBPyRelation, rows: int, size: int) -> pa.Table:
    """The answer as an Arrow table, of at most so many rows and bytes.

    It is made batch by batch, so what is too long is never there as a whole, nor computed to its
    end. Raises QueryError for an answer that is longer.
    """
    taken: list[pa.RecordBatch] = []
    rows_taken = bytes_taken = 0
    with relation.to_arrow_reader(BATCH_ROWS) as reader:
        for batch in reader:
            rows_taken += batch.num_rows
            bytes_taken += batch.nbytes
            if rows_taken > rows:
                raise QueryError(f"the answer has more than {rows:,} rows", hint=_HINT)
            if bytes_taken > size:
                raise QueryError(f"the answer takes more than {size:,} bytes", hint=_HINT)
            taken.append(batch)
        return pa.Table.from_batches(taken, reader.schema)


_HINT = "add a LIMIT, or write whole tables with: gateway export"
