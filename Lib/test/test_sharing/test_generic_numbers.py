"""Numbers of another interpreter pass CPython's own tests."""

import sys
import unittest
from test import test_complex, test_decimal, test_float, test_fractions, test_int
from unittest import mock

from .generic import add_suites


class DecimalSetUp:
    """What test_decimal prepares for the decimal modules it knows."""

    def setUp(self):
        super().setUp()
        # A test that fails leaves the decimal module replaced.
        self.enterContext(mock.patch.dict(sys.modules))
        for table in test_decimal.Signals, test_decimal.OrderedSignals, test_decimal.fractions:
            self.enterContext(mock.patch.dict(table, {self.decimal: table[test_decimal.C]}))
        self.enterContext(mock.patch.object(test_decimal, 'C', self.decimal))
        self.addCleanup(self.decimal.setcontext, self.decimal.getcontext())
        context = self.decimal.Context(prec=9, rounding=test_decimal.ROUND_HALF_EVEN)
        context.clear_traps()
        self.decimal.setcontext(context)


def decimal_suite(base):
    return type(base.__name__, (DecimalSetUp, base), {}), {'decimal': 'decimal'}


class FractionTests(test_fractions.FractionTest):

    def setUp(self):
        super().setUp()
        # Each interpreter has a limit.
        set_here = sys.set_int_max_str_digits

        def set_everywhere(maxdigits):
            set_here(maxdigits)
            self.foreign_sys.set_int_max_str_digits(maxdigits)
        self.enterContext(mock.patch.object(sys, 'set_int_max_str_digits', set_everywhere))

    def testFromNumber(self):
        # Its own has the class of here as a default argument.
        super().testFromNumber(test_fractions.F)


add_suites(globals(), {
    'IntTest': (test_int.IntTestCases, test_int, {'int': 'int'}),
    'FloatTest': (test_float.GeneralFloatCases, test_float, {'float': 'float'}),
    'FloatRoundTest': (test_float.RoundTestCase, test_float, {'float': 'float'}),
    'FloatFormatTest': (test_float.FormatTestCase, test_float, {'float': 'float'}),
    'FloatHexTest': (test_float.HexFloatTestCase, test_float, {'float': 'float'}),
    'ComplexTest': (test_complex.ComplexTest, test_complex, {'complex': 'complex'}),
    'FractionTest': (FractionTests, test_fractions, {
        'F': 'fractions.Fraction', 'DummyFraction': 'test.test_fractions.DummyFraction',
        'foreign_sys': 'sys'}),
    'DecimalConstructionTest': decimal_suite(test_decimal.ExplicitConstructionTest),
    'DecimalImplicitTest': decimal_suite(test_decimal.ImplicitConstructionTest),
    'DecimalFormatTest': decimal_suite(test_decimal.FormatTest),
    'DecimalArithmeticTest': decimal_suite(test_decimal.ArithmeticOperatorsTest),
    'DecimalUsabilityTest': decimal_suite(test_decimal.UsabilityTest),
    'DecimalContextTest': decimal_suite(test_decimal.ContextAPItests),
})

del FractionTests


if __name__ == '__main__':
    unittest.main()
