"""Addresses, structures, templates and settings of another interpreter pass CPython's own tests."""

import configparser
import unittest
from test import test_configparser, test_ipaddress, test_struct, test_textwrap, test_zlib
from test.test_string import test_string

from .generic import add_suites

TEXTWRAP = {name: f'textwrap.{name}' for name in ('TextWrapper', 'wrap', 'fill', 'dedent', 'indent',
                                                  'shorten')}


def address_suite(name):
    """The suite of a class, or of more."""
    suite = getattr(test_ipaddress, name)
    classes = {'ipaddress': 'ipaddress'}
    if isinstance(suite.__dict__.get('factory'), type):
        classes['factory'] = f'ipaddress.{suite.factory.__name__}'
    return suite, test_ipaddress, classes


def parser_suite(name):
    suite = getattr(test_configparser, name)
    classes = {'configparser': 'configparser'}
    if hasattr(suite, 'config_class'):
        classes['config_class'] = f'configparser.{suite.config_class.__name__}'
        if suite.interpolation is configparser._UNSET:
            classes['interpolation'] = 'configparser._UNSET'
    return suite, test_configparser, classes


add_suites(globals(), {
    **{name: address_suite(name) for name in (
        'AddressTestCase_v4', 'AddressTestCase_v6', 'InterfaceTestCase_v4', 'NetworkTestCase_v4',
        'InterfaceTestCase_v6', 'NetworkTestCase_v6', 'FactoryFunctionErrors', 'IpaddrUnitTest')},
    **{name: parser_suite(name) for name in (
        'StrictTestCase', 'ConfigParserTestCase', 'ConfigParserTestCaseNoInterpolation',
        'ConfigParserTestCaseNonStandardDelimiters', 'MultilineValuesTestCase',
        'RawConfigParserTestCase', 'ConfigParserTestCaseExtendedInterpolation',
        'ConfigParserTestCaseNoValue', 'ConfigParserTestCaseTrickyFile',
        'CoverageOneHundredTestCase', 'ConvertersTestCase')},
    'StructTest': (test_struct.StructTest, test_struct, {'struct': 'struct'}),
    'UnpackIteratorTest': (test_struct.UnpackIteratorTest, test_struct, {'struct': 'struct'}),
    'FormatterTest': (test_string.ModuleTest, test_string, {'string': 'string'}),
    'TemplateTest': (test_string.TestTemplate, test_string,
                     {'string': 'string', 'Template': 'string.Template'}),
    **{name: (getattr(test_textwrap, name), test_textwrap, TEXTWRAP) for name in (
        'WrapTestCase', 'MaxLinesTestCase', 'LongWordTestCase', 'DedentTestCase',
        'IndentTestCase', 'ShortenTestCase')},
    'CompressObjectTest': (test_zlib.CompressObjectTestCase, test_zlib, {'zlib': 'zlib'}),
})


if __name__ == '__main__':
    unittest.main()
