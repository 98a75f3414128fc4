"""Enums of another interpreter pass CPython's own tests of them."""

import unittest
from test import test_enum

from .foreign_class import ClassStatement
from .generic import Foreign, add_suites


def set_up(name):
    """Over there: what the suite of that name makes before each test."""
    test = getattr(test_enum, name)('test_basics')
    test.setUp()
    return {key: value for key, value in vars(test).items() if not key.startswith('_')}


class SetUpThere:
    """Goes in front of a suite, whose classes are made in the other interpreter as they are."""

    def setUp(self):
        # The suite derives from what it has derived.
        metaclass = self.EnumType.cls
        metaclass.deriver = self.EnumType.deriver
        metaclass.__mro_entries__ = lambda bases: (ClassStatement,)
        self.addCleanup(delattr, metaclass, 'deriver')
        self.addCleanup(delattr, metaclass, '__mro_entries__')
        vars(self).update(self.set_up(type(self).suite.__name__))


def suite(name, enum_class):
    classes = {name: Foreign(f'enum.{name}') for name in ('Enum', 'IntEnum', 'StrEnum', 'Flag')}
    classes |= dict(auto='enum.auto', EnumType='enum.EnumType', set_up=f'{__name__}.set_up',
                    enum_type=classes.setdefault(enum_class, Foreign(f'enum.{enum_class}')))
    base = type(name, (SetUpThere, getattr(test_enum, name)), {})
    return base, test_enum, classes


# The classes that only functions make are the same in the end.
add_suites(globals(), {
    'EnumTest': suite('TestPlainEnumClass', 'Enum'),
    'FlagTest': suite('TestPlainFlagClass', 'Flag'),
    'IntEnumTest': suite('TestIntEnumClass', 'IntEnum'),
    'StrEnumTest': suite('TestStrEnumClass', 'StrEnum'),
    'IntFlagTest': suite('TestIntFlagClass', 'IntFlag'),
})


if __name__ == '__main__':
    unittest.main()
