"""Operations of the tests' table: dates, time zones, decimals and arrays with operands.

Their C code looks into an operand of its own kind, whichever interpreter that belongs to.  (A method
of such an object that is called where it lives finds any proxy, which it refuses: those groups are
across interpreters.)
"""

from .grouping import ALIVE, COMPARISON, HOME, REFLECTED_COMPARISON, group

_COMPARED = f'{COMPARISON}\n{REFLECTED_COMPARISON}'
_SUM_AND_DIFFERENCE = 'x + y \n y + x \n x - y \n y - x'

for _name, _subject, _operand, _sources in (
        ('date and time difference', 'datetime.date(2026, 1, 31)', 'datetime.timedelta(1)',
         'x + y \n y + x \n x - y \n x += y; x \n x == y \n x != y'),
        ('datetime and time difference', 'datetime.datetime(2026, 1, 31, 12)',
         'datetime.timedelta(hours=13)', 'x + y \n y + x \n x - y \n x -= y; x'),
        ('derived date and time difference', 'Day(2026, 1, 31)', 'datetime.timedelta(1)',
         'x + y \n y + x \n x - y'),
        ('time difference and derived date', 'datetime.timedelta(1)', 'Day(2026, 1, 31)',
         'x + y \n y + x \n y - x'),
        ('date and date', 'datetime.date(2026, 1, 31)', 'datetime.date(2026, 1, 30)',
         f'''{_COMPARED}
             x - y
             y - x
             sorted([y, x, datetime.date(2026, 1, 29)])
             max(x, y)
             [y].count(x)
             {{y: 1}}.get(x)
             {{y.replace(day=31): 1}}[x]
         '''),
        ('date and derived date', 'datetime.date(2026, 1, 31)', 'Day(2026, 1, 31)',
         f'{_COMPARED}\n x - y \n y - x'),
        ('times of day', 'datetime.time(12, 30)', 'datetime.time(12, 45, fold=1)', _COMPARED),
        ('time differences', 'datetime.timedelta(days=3)', 'datetime.timedelta(hours=5)',
         f'''{_COMPARED} \n {_SUM_AND_DIFFERENCE}
             x / y
             x // y
             x % y
             y % x
             divmod(x, y)
             x += y; x
             sum([x, y], datetime.timedelta(1))
             sum([y, x, y], x)
             sorted([x, y, x])
             f'{{x + y}} {{x > y!r}}'
         '''),
        ('time difference and number', 'datetime.timedelta(days=3)', '2',
         'x * y \n y * x \n x / y \n x // y \n y // x \n x + y'),
        ('number and time difference', '2', 'datetime.timedelta(days=3)', 'x * y \n y * x \n y / x'),
        ('aware datetimes', 'datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)',
         'datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))',
         f'{_COMPARED} \n x - y \n y - x'),
        ('naive and aware datetimes', 'datetime.datetime(2026, 1, 31, 12)',
         'datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)', f'{_COMPARED} \n x - y'),
        ('datetimes of zones in Python', 'datetime.datetime(2026, 1, 31, 12, tzinfo=ZONE)',
         'datetime.datetime(2026, 7, 31, 12, tzinfo=ZONE)', _COMPARED),
        ('zones', 'datetime.timezone.utc', 'datetime.timezone(datetime.timedelta(0), "GMT")',
         'x == y \n y == x \n x != y'),
        ('fraction and fraction', 'fractions.Fraction(7, 2)', 'fractions.Fraction(1, 3)',
         f'{_COMPARED}\n{_SUM_AND_DIFFERENCE}\n x * y \n x / y \n sum([x, y], y) \n max(x, y)'),
        ('decimal and decimal', 'decimal.Decimal("7.5")', 'decimal.Decimal("2.50")', '''
             pow(x, y)
             pow(y, x)
             x **= y; x
             round(x / y, 3)
             sum([x, y, x])
             sum([y, x], y)
             sorted([x, y, decimal.Decimal(3)])
             {y: 1}.get(x)
         '''),
        *((f'array and {_which}', 'array.array("i", [1, 2])', f'array.array({_array})', f'''
             {_COMPARED}
             x + y
             x += y; x
             x[1:] = y; x
             x[:0] = y; x
             memoryview(x) == y
             memoryview(y) == x
             bytes(x) + bytes(y)
         ''') for _which, _array in (
             ('its equal', '"i", [1, 2]'), ('a greater one', '"i", [1, 3]'),
             ('a longer one', '"i", [1, 2, 0]')))):
    group(_name, _subject, _sources, y=_operand)

# Where the zone is the same object there is no difference of its offsets.
group('datetimes of a zone in Python', 'datetime.datetime(2026, 1, 31, 12, tzinfo=ZONE)',
      'x - y \n y - x', y='datetime.datetime(2026, 7, 31, 12, tzinfo=ZONE)', kinds=HOME)

# Zones, and methods

_INSTANT = 'datetime.datetime(2026, 7, 31, 12, tzinfo=datetime.UTC)'
for _name, _zone in dict(UTC='datetime.UTC', timezone='datetime.timezone(datetime.timedelta(hours=2))',
                         Python='ZONE').items():
    group(f'datetime and zone {_name}', _INSTANT, '''
        x.astimezone(y)
        x.astimezone(y).hour
        str(x.replace(tzinfo=y))
        x.replace(tzinfo=y).utcoffset()
        x.replace(tzinfo=y).tzname()
        x.replace(tzinfo=y).tzinfo == y
    ''', y=_zone, across=True)
    group(f'zone {_name} and datetime', _zone, '''
        y.astimezone(x)
        y.astimezone(x).hour
        str(y.replace(tzinfo=x))
        y.replace(tzinfo=x).utcoffset()
        y.replace(tzinfo=x).tzinfo == x
        y.replace(tzinfo=x) - y
        y.replace(tzinfo=x) < y
        x.utcoffset(y)
        x.tzname(y)
        x.fromutc(y.replace(tzinfo=x)).isoformat()
        x == y
    ''', y=_INSTANT, across=True)
    group(f'zone {_name}', _zone, '''
        datetime.datetime(2026, 1, 1, tzinfo=x).isoformat()
        datetime.datetime.fromtimestamp(0, x).isoformat()
        datetime.datetime.now(x).utcoffset()
        datetime.time(1, tzinfo=x).replace(hour=2).hour
    ''', across=True)
group('what is no zone', 'datetime.timedelta(1)', '''
    with contextlib.suppress(TypeError): datetime.datetime(2026, 1, 1, tzinfo=x)
    with contextlib.suppress(TypeError): datetime.datetime.now(x)
''', kinds=ALIVE)
group('methods of datetime', 'datetime.datetime', '''
    x.combine(y, datetime.time(3))
    x.combine(y, datetime.time(3), datetime.UTC)
    x.combine(date=y, time=datetime.time(3))
''', y='datetime.date(2026, 1, 1)', across=True)
group('methods of Decimal', 'decimal.Decimal("7.5")', '''
    x.quantize(y)
    x.compare(y)
    x.fma(y, y)
    x.max(y)
    x.scaleb(1).compare(other=y)
    f = x.quantize; f(y)
''', y='decimal.Decimal("2.50")', across=True)
group('methods of Decimal with a number', 'decimal.Decimal("7.5")',
      'x.compare(y) \n x.quantize(y) \n x.scaleb(y)', y='2', across=True)
group('Decimal', 'decimal.Decimal', 'x(y) \n x(y) == y \n x(y) + y \n x.from_float(0.5) * y',
      y='decimal.Decimal("2.50")')
group('methods of a decimal context', 'decimal.Context(prec=3)', '''
    x.add(y, y)
    x.create_decimal(y)
    x.divide(y, decimal.Decimal(3))
    x.quantize(y, decimal.Decimal("1.0"))
''', y='decimal.Decimal("2.50")', across=True)
group('methods of array', 'array.array("i", [1, 2])', '''
    x.extend(y); x
    f = x.extend; f(y); x
    x.frombytes(y); x
''', y='array.array("i", [8, 9])', across=True)
group('items of array', 'array.array("i", [1, 2])', '''
    x.extend([3, 4]); x
    x.extend(iter((3, 4))); x
    x.extend(array.array("d", [1.5]))
    x.fromlist([5]); x
    x[1:] = [1]
    x == [1, 2]
    x.index(2), x.count(1)
''', across=True)
