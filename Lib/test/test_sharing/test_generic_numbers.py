"""Numbers of another interpreter pass CPython's own tests."""

import sys
import unittest
from test import test_complex, test_decimal, test_float, test_fractions, test_int
from unittest import mock

from .generic import add_suites


class ContextTests(test_decimal.ContextAPItests):

    def setUp(self):
        super().setUp()
        # A test that fails leaves the decimal module replaced.
        self.enterContext(mock.patch.dict(sys.modules))


DECIMAL = {'decimal': 'decimal'}

add_suites(globals(), {
    'IntTest': (test_int.IntTestCases, test_int, {'int': 'int'}),
    'FloatTest': (test_float.GeneralFloatCases, test_float, {'float': 'float'}),
    'FloatRoundTest': (test_float.RoundTestCase, test_float, {'float': 'float'}),
    'FloatFormatTest': (test_float.FormatTestCase, test_float, {'float': 'float'}),
    'FloatHexTest': (test_float.HexFloatTestCase, test_float, {'float': 'float'}),
    'ComplexTest': (test_complex.ComplexTest, test_complex, {'complex': 'complex'}),
    'FractionTest': (test_fractions.FractionTest, test_fractions, {'F': 'fractions.Fraction'}),
    'DecimalConstructionTest': (test_decimal.ExplicitConstructionTest, DECIMAL),
    'DecimalImplicitTest': (test_decimal.ImplicitConstructionTest, DECIMAL),
    'DecimalFormatTest': (test_decimal.FormatTest, DECIMAL),
    'DecimalArithmeticTest': (test_decimal.ArithmeticOperatorsTest, DECIMAL),
    'DecimalUsabilityTest': (test_decimal.UsabilityTest, DECIMAL),
    'DecimalContextTest': (ContextTests, DECIMAL),
})


if __name__ == '__main__':
    unittest.main()
