"""Files of another interpreter, and what reads and writes tables, pass CPython's own tests."""

import unittest
from test import test_csv, test_file, test_fileio, test_univnewlines

from .generic import add_suites, make_suite

# test_reader_reentrant_iterator makes a cycle.
CsvTest = make_suite('CsvTest', test_csv.Test_Csv, suite_module=test_csv, cycles=2, csv='csv')

add_suites(globals(), {
    'FileIOTest': (test_fileio.CAutoFileTests, {'FileIO': '_io.FileIO'}),
    'OtherFileIOTest': (test_fileio.COtherFileTests, {'FileIO': '_io.FileIO'}),
    'OpenTest': (test_file.CAutoFileTests, {'open': 'io.open'}),
    'OtherOpenTest': (test_file.COtherFileTests, {'open': 'io.open'}),
    'NewlinesTest': (test_univnewlines.CTestCRLFNewlines, {'open': 'io.open'}),
    'MixedNewlinesTest': (test_univnewlines.CTestMixedNewlines, {'open': 'io.open'}),
    'CsvDialectTest': (test_csv.TestDialectRegistry, test_csv, {'csv': 'csv'}),
    'CsvExcelTest': (test_csv.TestDialectExcel, test_csv, {'csv': 'csv'}),
    'CsvUnixTest': (test_csv.TestDialectUnix, test_csv, {'csv': 'csv'}),
    'CsvDictTest': (test_csv.TestDictFields, test_csv, {'csv': 'csv'}),
})


if __name__ == '__main__':
    unittest.main()
