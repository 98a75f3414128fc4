"""Numbers of another interpreter pass CPython's own tests."""

import sys
import unittest
from test import test_decimal, test_fractions
from unittest import mock

from .generic import Foreign, Generic


class FractionTest(Generic, test_fractions.FractionTest):
    fraction = Foreign('fractions.Fraction')

    def setUp(self):
        super().setUp()
        self.enterContext(mock.patch.object(test_fractions, 'F', self.fraction))


class DecimalConstructionTest(Generic, test_decimal.ExplicitConstructionTest, unittest.TestCase):
    decimal = Foreign('decimal')


class DecimalImplicitTest(Generic, test_decimal.ImplicitConstructionTest, unittest.TestCase):
    decimal = Foreign('decimal')


class DecimalFormatTest(Generic, test_decimal.FormatTest, unittest.TestCase):
    decimal = Foreign('decimal')


class DecimalArithmeticTest(Generic, test_decimal.ArithmeticOperatorsTest, unittest.TestCase):
    decimal = Foreign('decimal')


class DecimalUsabilityTest(Generic, test_decimal.UsabilityTest, unittest.TestCase):
    decimal = Foreign('decimal')


class DecimalContextTest(Generic, test_decimal.ContextAPItests, unittest.TestCase):
    decimal = Foreign('decimal')

    def setUp(self):
        super().setUp()
        # A test that fails leaves the decimal module replaced.
        self.enterContext(mock.patch.dict(sys.modules))


if __name__ == '__main__':
    unittest.main()
