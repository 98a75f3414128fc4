"""The operations that the tests perform, as one table."""

from . import (  # noqa: F401  (each adds its groups)
    table_numbers, table_objects, table_calls, table_containers, table_dates,
    table_library)
from .grouping import TABLE

__all__ = ['TABLE']
