"""Dates, times and time zones of another interpreter pass CPython's own tests."""

import unittest
from test import datetimetester

from .generic import Foreign, add_suites


class ForeignDates(Foreign):
    """A class whose instances are never plain values, so that it makes proxies by itself."""

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
