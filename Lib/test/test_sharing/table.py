"""The operations that the tests perform, as one table."""

import importlib

from .grouping import TABLE

__all__ = ['TABLE', 'TOPICS']

#: Each has a module of its own, table_<topic>, which adds its groups.
TOPICS = ('numbers', 'objects', 'calls', 'containers', 'dates', 'library')

for topic in TOPICS:
    importlib.import_module(f'{__package__}.table_{topic}')
