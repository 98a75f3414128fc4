"""Dates, times and time zones of another interpreter pass CPython's own tests."""

import builtins
import unittest
import warnings
from concurrent.interpreters import SharedObjectProxy
from test import datetimetester

from .generic import Foreign, add_suites


def warn(message, category, filename, lineno):
    warnings.warn_explicit(message, getattr(builtins, category), filename, lineno)


def pass_on_warnings(warn):
    """Let a function warn of what is warned of here; or nothing, with None."""
    warnings.simplefilter('always' if warn else 'ignore')
    warnings.showwarning = warn and (
        lambda message, category, filename, lineno, file=None, line=None:
            warn(str(message), category.__name__, filename, lineno))


class ForeignDates(Foreign):
    """A class whose instances are never plain values, so that it makes proxies by itself.

    Its owner warns here.
    """

    OWN = Foreign.OWN | {'place'}

    def open(self, place):
        super().open(place)
        self.place = place
        place.call(pass_on_warnings, SharedObjectProxy(warn))

    def close(self):
        self.place.call(pass_on_warnings, None)
        super().close()

    def __call__(self, /, *args, **kwargs):
        return self.cls(*args, **kwargs)


def suite(name, theclass=None):
    classes = {name: ForeignDates(f'datetime.{name}')
               for name in ('date', 'time', 'datetime', 'timedelta', 'timezone')}
    if theclass is not None:
        # The suites compare it to the others.
        classes['theclass'] = classes[theclass]
    return getattr(datetimetester, name), datetimetester, classes


# Each tests what it is derived from, too.
add_suites(globals(), {
    'TimeDeltaTest': suite('TestTimeDelta', 'timedelta'),
    'DateOnlyTest': suite('TestDateOnly'),
    'DateTest': suite('TestDate', 'date'),
    'TimeZoneTest': suite('TestTimeZone'),
    'TimeTest': suite('TestTimeTZ', 'time'),
    'DateTimeTest': suite('TestDateTimeTZ', 'datetime'),
    'ZoneConversionTest': suite('TestTimezoneConversions', 'datetime'),
    'OddballsTest': suite('Oddballs'),
    'LocalTimeTest': suite('TestLocalTimeDisambiguation'),
})


if __name__ == '__main__':
    unittest.main()
