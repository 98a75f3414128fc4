"""Databases of another interpreter pass CPython's own tests of sqlite3."""

import unittest
from test.support import import_helper

from .generic import make_suite

import_helper.import_module('_sqlite3')
from test.test_sqlite3 import test_dbapi, test_transactions, test_types

SUITES = {
    test_dbapi: ('ModuleTests', 'ConnectionTests', 'SerializeTests', 'OpenTests', 'CursorTests',
                 'BlobTests', 'ThreadTests', 'ConstructorTests', 'ExtensionTests',
                 'ClosedConTests', 'ClosedCurTests', 'RowTests', 'SqliteOnConflictTests'),
    test_types: ('SqliteTypeTests', 'DeclTypesTests', 'ColNamesTests', 'DateTimeTests',
                 'CommonTableExpressionTests', 'ObjectAdaptationTests'),
    test_transactions: ('TransactionTests', 'RollbackTests', 'TransactionalDDL',
                        'IsolationLevelFromInit', 'IsolationLevelPostInit', 'AutocommitAttribute'),
}

for module, names in SUITES.items():
    for name in names:
        case = make_suite(name, getattr(module, name), suite_module=module, sqlite='sqlite3')
        case.__module__ = __name__
        globals()[name] = case
del case


if __name__ == '__main__':
    unittest.main()
